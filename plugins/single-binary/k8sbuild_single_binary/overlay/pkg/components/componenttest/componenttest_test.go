package componenttest

import (
	"context"
	"errors"
	"testing"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/service"
)

// spy is a test that notes its failures.
type spy struct {
	testing.TB
	failed int
}

func (s *spy) Errorf(string, ...any) { s.failed++ }
func (s *spy) Error(...any)          { s.failed++ }

func args(cfg *config.Config) []string { return []string{"--mode=" + string(cfg.ServerMode)} }

func TestMissingArgumentsAreFound(t *testing.T) {
	seen := &spy{TB: t}
	WantArguments(seen, args, map[config.Mode][]string{config.Single: {"--mode=single"}, config.HA: {"--mode=ha"}})
	if seen.failed != 0 {
		t.Error("arguments that are there are missed")
	}
	WantArguments(seen, args, map[config.Mode][]string{config.HA: {"--mode=single"}})
	if seen.failed != 1 {
		t.Error("a missing argument is not found")
	}
}

func TestMissingCertificateIsFound(t *testing.T) {
	seen := &spy{TB: t}
	WantOwnCertificate(seen, args, "a")
	if seen.failed != 2 {
		t.Error("a missing certificate is not found")
	}
	WantOwnCertificate(t, func(cfg *config.Config) []string {
		return []string{"--tls-cert-file=" + cfg.TLSDir() + "/a.crt", "--tls-private-key-file=" + cfg.TLSDir() + "/a.key"}
	}, "a")
}

func TestUnknownArgumentThatIsTakenIsFound(t *testing.T) {
	for failures, result := range []error{errors.New("--x-arg: unknown flag: --nope"), nil} {
		seen := &spy{TB: t}
		WantKnownArguments(seen, Configuration(t, config.Single), "x", func(*config.Config) (service.Service, error) { return nil, result })
		if seen.failed != failures {
			t.Errorf("%v: %d failures", result, seen.failed)
		}
	}
}

func TestRunningWithoutCertificatesIsFound(t *testing.T) {
	for failures, result := range []error{errors.New("no certificate"), nil} {
		seen := &spy{TB: t}
		WantNoRun(seen, "x", func(*config.Config) (service.Service, error) {
			return &service.Runner{Component: "x", Run: func(context.Context) error { return result }}, nil
		})
		if seen.failed != failures {
			t.Errorf("%d failures for %v", seen.failed, result)
		}
	}
}

func TestConfigurationsAreComplete(t *testing.T) {
	if cfg := Configuration(t, config.HA); cfg.ClusterDNS == "" || !cfg.DisableAgent || cfg.SchedulerPort == cfg.ControllerManagerPort {
		t.Errorf("got %+v", cfg)
	}
	if cfg := Node(t); cfg.DisableAgent || cfg.RuntimeEndpoint() != cfg.ContainerRuntimeEndpoint || len(cfg.NodeIPs) != 1 {
		t.Errorf("got %+v", cfg)
	}
}
