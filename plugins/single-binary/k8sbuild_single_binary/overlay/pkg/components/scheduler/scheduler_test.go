package scheduler

import (
	"testing"

	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
)

func TestArguments(t *testing.T) {
	componenttest.WantOwnCertificate(t, Args, certs.SchedulerServer)
	componenttest.WantArguments(t, Args, map[config.Mode][]string{
		config.Single: {"--leader-elect=false"},
		config.HA:     {"--leader-elect=true"},
	})
}

// Twice, since the components of this process make their options more than once.
func TestUpstreamKnowsEveryArgument(t *testing.T) {
	for range 2 {
		if err := shared.Parse(Name, *options.NewOptions().Flags, Args(componenttest.Configuration(t, config.HA))); err != nil {
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
