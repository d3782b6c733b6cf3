package controllermanager

import (
	"testing"

	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
)

func TestArguments(t *testing.T) {
	componenttest.WantOwnCertificate(t, Args, certs.ControllerManagerServer)
	componenttest.WantArguments(t, Args, map[config.Mode][]string{
		config.Single: {"--leader-elect=false", "--cluster-cidr=10.42.0.0/16"},
		config.HA:     {"--leader-elect=true"},
	})
}

// Twice, since the components of this process make their options more than once.
func TestUpstreamKnowsEveryArgument(t *testing.T) {
	for range 2 {
		o, err := options.NewKubeControllerManagerOptions()
		if err != nil {
			t.Fatal(err)
		}
		if err := shared.Parse(Name, o.Flags(app.KnownControllers(), app.ControllersDisabledByDefault(), app.ControllerAliases()), Args(componenttest.Configuration(t, config.HA))); err != nil {
			t.Error(err)
		}
	}
}

func TestUnknownArgumentIsRefusedBeforeTheStart(t *testing.T) {
	componenttest.WantKnownArguments(t, componenttest.Configuration(t, config.Single), Name, New)
}

func TestRunWithoutCertificatesFailsInOneError(t *testing.T) {
	Register()
	componenttest.WantNoRun(t, Name, New)
}
