package controllermanager

import (
	"slices"
	"testing"

	"k8s.io/component-base/configz"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"

	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
)

func configuration(t *testing.T, mode config.Mode) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.ServerMode, cfg.DataDir, cfg.DisableAgent, cfg.EtcdCAFile = mode, t.TempDir(), true, "/ca.crt"
	cfg.StorageEndpoints = func() []string { return []string{"unix:///a.sock"} }
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestArguments(t *testing.T) {
	for mode, wanted := range map[config.Mode][]string{config.Single: {"--leader-elect=false", "--cluster-cidr=10.42.0.0/16", "--secure-port=10257"}, config.HA: {"--leader-elect=true"}} {
		args := Args(configuration(t, mode))
		for _, want := range wanted {
			if !slices.Contains(args, want) {
				t.Errorf("%s: no %s in %v", mode, want, args)
			}
		}
	}
}

// Twice, since the components of this process make their options more than once.
func TestUpstreamKnowsEveryArgument(t *testing.T) {
	for range 2 {
		o, err := options.NewKubeControllerManagerOptions()
		if err != nil {
			t.Fatal(err)
		}
		if err := shared.Parse(Name, o.Flags(app.KnownControllers(), app.ControllersDisabledByDefault(), app.ControllerAliases()), Args(configuration(t, config.HA))); err != nil {
			t.Error(err)
		}
	}
}

func TestRunWithoutCertificatesFailsInOneError(t *testing.T) {
	cfg := configuration(t, config.Single)
	s, err := New(cfg)
	if err != nil || s.Name() != Name {
		t.Fatal(s, err)
	}
	if err := run(t.Context(), cfg); err == nil {
		t.Error("runs without certificates")
	}
}

// A term that finds the name taken would serve no configuration.
func TestConfigurationOfTheTermBeforeIsForgotten(t *testing.T) {
	if _, err := configz.New(app.ConfigzName); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), configuration(t, config.Single)); err == nil {
		t.Error("runs without certificates")
	}
	if _, err := configz.New(app.ConfigzName); err != nil {
		t.Error(err)
	}
	configz.Delete(app.ConfigzName)
}
