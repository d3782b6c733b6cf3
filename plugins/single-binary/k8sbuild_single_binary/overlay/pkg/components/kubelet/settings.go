package kubelet

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/eviction"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/host"
	"k8sbuild.dev/distribution/pkg/kubeconfig"
)

// settings are the kubelet's, with the user's arguments on top of ours.
func settings(cfg *config.Config) (*options.KubeletServer, error) {
	s, err := options.NewKubeletServer()
	if err != nil {
		return nil, fmt.Errorf("make configuration: %w", err)
	}
	identity(s, cfg)
	protect(&s.KubeletConfiguration, certs.Cluster(cfg).Cert(certs.ClientCA))
	if err := onThisMachine(&s.KubeletConfiguration, cfg); err != nil {
		return nil, err
	}
	if err := parse(s, args(cfg)); err != nil {
		return nil, err
	}
	if err := options.ValidateKubeletServer(s); err != nil {
		return nil, oneLine(err)
	}
	return s, nil
}

func identity(s *options.KubeletServer, cfg *config.Config) {
	s.HostnameOverride = cfg.NodeName
	s.NodeIP = strings.Join(cfg.NodeIPs, ",")
	s.CertDirectory = cfg.Path("kubelet", "pki")
	s.KubeConfig = kubeconfigFile(cfg)
	s.BootstrapKubeconfig = kubeconfig.Path(cfg, certs.NodeBootstrap)
	s.RotateCertificates = true
	s.ServerTLSBootstrap = true
}

// protect turns off what upstream's defaults for flags leave open.
func protect(k *kubeletconfig.KubeletConfiguration, clientCA string) {
	k.Authentication.Anonymous.Enabled = false
	k.Authentication.Webhook.Enabled = true
	k.Authentication.X509.ClientCAFile = clientCA
	k.Authorization.Mode = kubeletconfig.KubeletAuthorizationModeWebhook
	k.ReadOnlyPort = 0
}

func onThisMachine(k *kubeletconfig.KubeletConfiguration, cfg *config.Config) error {
	score, err := host.ReadOOMScoreAdj(host.OOMFile)
	if err != nil {
		return err
	}
	// What holds already: the process has one score, which is not the kubelet's to set.
	k.OOMScoreAdj = int32(score)
	k.FailSwapOn = false
	k.EvictionHard = eviction.DefaultEvictionHard
	// Found out from the container runtime, unless the user says it.
	k.CgroupDriver = ""
	// Validation wants one; the runtime says its address once it runs.
	k.ContainerRuntimeEndpoint = firstOf(cfg.ContainerRuntimeEndpoint, "unix:///not-known-yet")
	k.ClusterDNS = []string{cfg.ClusterDNS}
	k.ClusterDomain = cfg.ClusterDomain
	// Without one, pods that want the machine's get nobody's address instead of
	// none, which programs such as CoreDNS would end at.
	if k.ResolverConfig = host.ResolvConf(host.ResolvConfs); k.ResolverConfig == "" {
		klog.InfoS("Pods cannot reach a name server of this machine: there is none in these files", "files", host.ResolvConfs)
	}
	return nil
}

func args(cfg *config.Config) (args []string) {
	if len(cfg.NodeLabels) > 0 {
		args = append(args, "--node-labels="+strings.Join(cfg.NodeLabels, ","))
	}
	if len(cfg.NodeTaints) > 0 {
		args = append(args, "--register-with-taints="+strings.Join(cfg.NodeTaints, ","))
	}
	return append(args, cfg.Extra(Name)...)
}

func parse(s *options.KubeletServer, args []string) error {
	fs := pflag.NewFlagSet(Name, pflag.ContinueOnError)
	// Nearly all flags are deprecated in favour of a file, each with a line.
	fs.SetOutput(io.Discard)
	s.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("--%s-arg: %w", Name, oneLine(err))
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("--%s-arg: %q is no flag", Name, fs.Arg(0))
	}
	return nil
}

func oneLine(err error) error {
	return fmt.Errorf("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
