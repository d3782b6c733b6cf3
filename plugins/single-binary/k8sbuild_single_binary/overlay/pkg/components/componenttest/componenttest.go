// Package componenttest is what the tests of the components have in common.
package componenttest

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/service"
)

// Configuration is complete and on free ports, in a data directory without certificates.
func Configuration(t testing.TB, mode config.Mode) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.ServerMode, cfg.DataDir, cfg.DisableAgent = mode, t.TempDir(), true
	cfg.StorageEndpoints = func() []string { return []string{"unix:///a.sock"} }
	for _, port := range []*int{&cfg.HTTPSListenPort, &cfg.ControllerManagerPort, &cfg.SchedulerPort} {
		*port = FreePort(t)
	}
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	if mode == config.HA {
		// There is no such file, which Complete would refuse.
		cfg.EtcdCAFile = "/ca.crt"
	}
	return cfg
}

// Node is complete and has a node, whose container runtime is not there.
func Node(t testing.TB) *config.Config {
	t.Helper()
	cfg := Configuration(t, config.Single)
	cfg.DisableAgent, cfg.NodeName, cfg.NodeIPs = false, "node", []string{"192.0.2.7"}
	cfg.AdvertiseAddress = "192.0.2.7"
	cfg.ContainerRuntimeEndpoint = filepath.Join(t.TempDir(), "none.sock")
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// FreePort is a port of loopback that nobody has now.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// WantArguments wants that a component gets some arguments in each mode.
func WantArguments(t testing.TB, args func(*config.Config) []string, wanted map[config.Mode][]string) {
	t.Helper()
	for mode, words := range wanted {
		got := args(Configuration(t, mode))
		for _, word := range words {
			if !slices.Contains(got, word) {
				t.Errorf("%s: no %s in %v", mode, word, got)
			}
		}
	}
}

// WantOwnCertificate wants that a component gets a certificate of the cluster's
// to serve with: one that it makes itself nobody can verify.
func WantOwnCertificate(t testing.TB, args func(*config.Config) []string, name string) {
	t.Helper()
	cfg := Configuration(t, config.Single)
	for _, word := range []string{"--tls-cert-file=", "--tls-private-key-file="} {
		if !slices.ContainsFunc(args(cfg), func(arg string) bool {
			return strings.HasPrefix(arg, word+filepath.Join(cfg.TLSDir(), name))
		}) {
			t.Errorf("no %s of %s", word, name)
		}
	}
}

// WantKnownArguments wants that an argument which a component does not know is
// refused before it starts, in one line that names the flag to mend.
func WantKnownArguments(t testing.TB, cfg *config.Config, name string, make func(*config.Config) (service.Service, error)) {
	t.Helper()
	cfg.ExtraArgs[name] = []string{"nope=1"}
	_, err := make(cfg)
	if err == nil || !strings.Contains(err.Error(), "--"+name+"-arg: unknown flag: --nope") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	cfg.ExtraArgs[name] = nil
}

// WantNoRun wants that a component without certificates ends in one error.
func WantNoRun(t testing.TB, name string, make func(*config.Config) (service.Service, error)) {
	t.Helper()
	s, err := make(Configuration(t, config.Single))
	if err != nil || s.Name() != name {
		t.Fatal(s, err)
	}
	if err := s.(*service.Runner).Run(t.Context()); err == nil {
		t.Error("runs without certificates")
	}
}
