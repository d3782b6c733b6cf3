package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// EnvPrefix begins the name of each environment variable that sets a flag.
const EnvPrefix = "K8S_"

// AddFlags binds every field to a flag; the fields' values are the defaults.
func (c *Config) AddFlags(fs *pflag.FlagSet) {
	fs.Var((*modeValue)(&c.ServerMode), "server-mode", "where the state lives: single (in this process) or ha (external etcd)")
	fs.StringVar(&c.DataDir, "data-dir", c.DataDir, "directory for state, certificates and kubeconfigs")
	fs.IntVar(&c.DatabaseMaxSize, "database-max-size", c.DatabaseMaxSize, "size in MiB from which on the state takes no creates and updates, with --server-mode=single")
	fs.BoolVar(&c.DisableAgent, "disable-agent", c.DisableAgent, "run no kubelet and no kube-proxy")
	fs.StringSliceVar(&c.Disable, "disable", c.Disable, "add-on or component to leave out, and to remove where it is: "+c.partNames()+"; may be repeated")

	fs.StringVar(&c.NodeName, "node-name", c.NodeName, "name of this machine's node (default: the host name)")
	fs.StringSliceVar(&c.NodeIPs, "node-ip", c.NodeIPs, "address of the node; two for dual-stack, with a comma (default: of the default route)")
	fs.StringSliceVar(&c.NodeLabels, "node-label", c.NodeLabels, "KEY=VALUE label that the node registers with")
	fs.StringSliceVar(&c.NodeTaints, "node-taint", c.NodeTaints, "KEY=VALUE:EFFECT taint that the node registers with")
	fs.StringVar(&c.ContainerRuntimeEndpoint, "container-runtime-endpoint", c.ContainerRuntimeEndpoint, "socket of a containerd or cri-dockerd that runs already")
	fs.DurationVar(&c.DrainOnStop, "drain-on-stop", c.DrainOnStop, "on a stop, first end the node's pods, in at most this time, such as 60s (default: they run on)")
	fs.StringVar(&c.Network, "network", c.Network, "network of the pods: "+c.networkNames()+" (default: the built-in one, none with --container-runtime-endpoint)")

	fs.StringSliceVar(&c.EtcdServers, "etcd-servers", c.EtcdServers, "external etcd, with --server-mode=ha")
	fs.StringVar(&c.EtcdCAFile, "etcd-cafile", c.EtcdCAFile, "CA certificate file of the external etcd")
	fs.StringVar(&c.EtcdCertFile, "etcd-certfile", c.EtcdCertFile, "client certificate file for the external etcd")
	fs.StringVar(&c.EtcdKeyFile, "etcd-keyfile", c.EtcdKeyFile, "client key file for the external etcd")

	fs.StringVar(&c.BindAddress, "bind-address", c.BindAddress, "address the API server listens on")
	fs.IntVar(&c.HTTPSListenPort, "https-listen-port", c.HTTPSListenPort, "port the API server listens on")
	fs.StringVar(&c.AdvertiseAddress, "advertise-address", c.AdvertiseAddress, "address at which the cluster reaches the API server (default: of the default route)")
	fs.StringSliceVar(&c.TLSSANs, "tls-san", c.TLSSANs, "further names and addresses in the API server's certificate")
	fs.IntVar(&c.ControllerManagerPort, "controller-manager-port", c.ControllerManagerPort, "port of kube-controller-manager on loopback")
	fs.IntVar(&c.SchedulerPort, "scheduler-port", c.SchedulerPort, "port of kube-scheduler on loopback")

	fs.StringVar(&c.ClusterCIDR, "cluster-cidr", c.ClusterCIDR, "address range of pods; two for dual-stack, with a comma")
	fs.StringVar(&c.ServiceCIDR, "service-cidr", c.ServiceCIDR, "address range of services; two for dual-stack, with a comma")
	fs.StringVar(&c.ClusterDNS, "cluster-dns", c.ClusterDNS, "address of the cluster's DNS service (default: the tenth of --service-cidr)")
	fs.StringVar(&c.ClusterDomain, "cluster-domain", c.ClusterDomain, "domain of the cluster's DNS names")

	fs.StringVar(&c.WriteKubeconfig, "write-kubeconfig", c.WriteKubeconfig, "also write the admin kubeconfig to this file, certificates included")
	fs.StringVar(&c.WriteKubeconfigMode, "write-kubeconfig-mode", c.WriteKubeconfigMode, "mode of the file of --write-kubeconfig")

	for _, component := range Components {
		fs.Var(extraArgs{c.ExtraArgs, component}, component+"-arg", "NAME=VALUE flag of "+component+"'s own, which wins over ours; may be repeated")
	}
	fs.StringVar(&c.FeatureGates, "feature-gates", c.FeatureGates, "NAME=true|false pairs with commas, for all components at once")
	fs.IntVarP(&c.Verbosity, "v", "v", c.Verbosity, "verbosity of the log, for all components")
}

// EnvName is the environment variable that sets the flag.
func EnvName(flag string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// ApplyEnv sets each flag that the command line has not set from its variable
// in environ, which has the form of os.Environ. An empty variable sets nothing.
// It returns the variables with our prefix that name no flag.
func ApplyEnv(fs *pflag.FlagSet, environ []string) (unknown []string, err error) {
	values := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, EnvPrefix) && value != "" {
			values[name] = value
		}
	}
	fs.VisitAll(func(f *pflag.Flag) {
		name := EnvName(f.Name)
		value, set := values[name]
		delete(values, name)
		if !set || f.Changed || err != nil {
			return
		}
		if e := fs.Set(f.Name, value); e != nil {
			err = fmt.Errorf("environment variable %s: %w", name, e)
		}
	})
	for name := range values {
		unknown = append(unknown, name)
	}
	slices.Sort(unknown)
	return unknown, err
}

type modeValue Mode

func (m *modeValue) String() string { return string(*m) }
func (m *modeValue) Type() string   { return "mode" }
func (m *modeValue) Set(s string) error {
	if s != string(Single) && s != string(HA) {
		return fmt.Errorf("must be %s or %s", Single, HA)
	}
	*m = modeValue(s)
	return nil
}

// extraArgs is the flag with the user's arguments for one component. Values
// have commas of their own, so each is one argument.
type extraArgs struct {
	of        map[string][]string
	component string
}

func (e extraArgs) String() string { return strings.Join(e.of[e.component], " ") }
func (e extraArgs) Type() string   { return "arg" }
func (e extraArgs) Set(s string) error {
	e.of[e.component] = append(e.of[e.component], s)
	return nil
}
