// Package config is the server's configuration: its fields, flags, environment
// variables, defaults and rules. It imports no Kubernetes package.
package config

import (
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"
)

// Mode says where the cluster's state lives.
type Mode string

const (
	// Single keeps the state in the storage component of this process.
	Single Mode = "single"
	// HA keeps it in an external etcd that several servers share.
	HA Mode = "ha"
)

// Config is the configuration of one server. It is filled by Default, flags
// and Complete, and read only afterwards, apart from StorageEndpoints and RuntimeEndpoint.
type Config struct {
	ServerMode   Mode
	DataDir      string
	DisableAgent bool
	// DatabaseMaxSize is how many MiB the state may take in single mode.
	DatabaseMaxSize int
	// Disable names those of Parts that are not wanted.
	Disable []string
	// Parts are the names of what is built into this binary and may be left out.
	// Who makes the command line sets it.
	Parts []string `json:"-"`

	// NodeName and what follows is of this machine's node; without an agent
	// there is none.
	NodeName                 string
	NodeIPs                  []string
	NodeLabels               []string
	NodeTaints               []string
	ContainerRuntimeEndpoint string
	// DrainOnStop bounds the end of the node's pods before a stop; zero lets
	// them run on.
	DrainOnStop time.Duration
	// Network names one of Networks, or is NoNetwork.
	Network string
	// Networks are the names of those that are built into this binary. Who
	// makes the command line sets it.
	Networks []string `json:"-"`

	EtcdServers  []string
	EtcdCAFile   string
	EtcdCertFile string
	EtcdKeyFile  string

	BindAddress      string
	HTTPSListenPort  int
	AdvertiseAddress string
	TLSSANs          []string

	ControllerManagerPort int
	SchedulerPort         int

	ClusterCIDR   string
	ServiceCIDR   string
	ClusterDNS    string
	ClusterDomain string

	WriteKubeconfig     string
	WriteKubeconfigMode string

	// ExtraArgs are the user's arguments NAME=VALUE, by component.
	ExtraArgs    map[string][]string
	FeatureGates string
	Verbosity    int

	// Began is when the server did. The server sets it.
	Began time.Time `json:"-"`
	// StorageEndpoints gives the values for --etcd-servers. The server sets it;
	// it may be called once the storage has started.
	StorageEndpoints func() []string `json:"-"`
	// RuntimeEndpoint gives the address of the container runtime. The server
	// sets it; it may be called once the runtime has started.
	RuntimeEndpoint func() string `json:"-"`
}

// Default is the configuration without any flag.
func Default() *Config {
	return &Config{
		ServerMode:            Single,
		DataDir:               "/var/lib/k8s",
		DatabaseMaxSize:       8192,
		EtcdServers:           []string{"http://127.0.0.1:2379"},
		BindAddress:           "0.0.0.0",
		HTTPSListenPort:       6443,
		ControllerManagerPort: 10257,
		SchedulerPort:         10259,
		ClusterCIDR:           "10.42.0.0/16",
		ServiceCIDR:           "10.43.0.0/16",
		ClusterDomain:         "cluster.local",
		WriteKubeconfigMode:   "0600",
		ExtraArgs:             map[string][]string{},
	}
}

// Path is a path below the data directory.
func (c *Config) Path(elem ...string) string {
	return filepath.Join(append([]string{c.DataDir}, elem...)...)
}

// TLSDir holds certificate authorities, certificates and keys.
func (c *Config) TLSDir() string { return c.Path("tls") }

// CredentialsDir holds the components' kubeconfigs.
func (c *Config) CredentialsDir() string { return c.Path("cred") }

// DBDir is the storage component's own directory.
func (c *Config) DBDir() string { return c.Path("db") }

// ManifestsDir holds the files that the server applies to its cluster.
func (c *Config) ManifestsDir() string { return c.Path("manifests") }

// AdminKubeconfig is the path of the administrator's kubeconfig.
func (c *Config) AdminKubeconfig() string { return c.Path("admin.kubeconfig") }

// LoopbackHost is the loopback or bind address through which the components of
// this process reach each other.
func (c *Config) LoopbackHost() string {
	addr, err := netip.ParseAddr(c.BindAddress)
	switch {
	case err != nil:
		return "127.0.0.1"
	case !addr.IsUnspecified():
		return addr.String()
	case addr.Is4():
		return "127.0.0.1"
	}
	return "::1"
}

// APIServerURL is the API server's address for clients on this machine.
func (c *Config) APIServerURL() string {
	return "https://" + net.JoinHostPort(c.LoopbackHost(), strconv.Itoa(c.HTTPSListenPort))
}

// LocalURL is an address on this machine, for example of a health check.
func (c *Config) LocalURL(port int, path string) string {
	return "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + path
}
