package proxy

import (
	"context"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/component-base/metrics"
	"k8s.io/kubernetes/cmd/kube-proxy/app"

	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/service"
)

// flags is how many flags the process has.
func flags() (n int) {
	pflag.VisitAll(func(*pflag.Flag) { n++ })
	flag.VisitAll(func(*flag.Flag) { n++ })
	return n
}

func TestRunGivesValidOptionsAndAddsNoFlagToTheProcess(t *testing.T) {
	before, started := flags(), errors.New("started")
	err := run(t.Context(), nil, func(o *app.Options, _ context.Context) error {
		if err := o.Validate(); err != nil {
			t.Error(err)
		}
		return started
	})
	if !errors.Is(err, started) {
		t.Errorf("got %v", err)
	}
	if after := flags(); after != before {
		t.Errorf("%d flags before, %d after", before, after)
	}
}

func TestWrongArgumentsAreErrors(t *testing.T) {
	for want, arg := range map[string]string{
		"--kube-proxy-arg: unknown flag": "--nonsense",
		"complete options":               "--config=/nonexistent",
		"validate options":               "--proxy-mode=nonsense",
	} {
		if err := run(t.Context(), []string{arg}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Upstream's loop never ends; the process does not wait for it.
func TestStopIsNotWaitedFor(t *testing.T) {
	s, err := New(componenttest.Node(t))
	if err != nil || s.Name() != Name {
		t.Fatal(s, err)
	}
	Register()
	if r := s.(*service.Runner); r.Abandon == 0 {
		t.Error("the stop waits for kube-proxy")
	}
}

func TestReadyWhenRulesAreWritten(t *testing.T) {
	last := metrics.NewGauge(&metrics.GaugeOpts{Name: "written"})
	if err := synced(last); err == nil {
		t.Error("ready before kube-proxy has its metrics")
	}
	metrics.NewKubeRegistry().MustRegister(last)
	if err := synced(last); err == nil {
		t.Error("ready without rules")
	}
	last.SetToCurrentTime()
	if err := synced(last); err != nil {
		t.Error(err)
	}
}

// Otherwise a wrong argument of the user would end a server that runs already.
func TestWrongArgumentsOfTheUserAreErrorsBeforeTheStart(t *testing.T) {
	cfg := componenttest.Node(t)
	cfg.ExtraArgs[Name] = []string{"nonsense"}
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "unknown flag: --nonsense") {
		t.Errorf("got %v", err)
	}
}

func TestNothingListensBeyondLoopback(t *testing.T) {
	args, err := Args(componenttest.Node(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--healthz-bind-address=127.0.0.1:", "--metrics-bind-address=127.0.0.1:"} {
		if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, flag) }) {
			t.Errorf("no %s in %v", flag, args)
		}
	}
}

func TestLimitThatCannotBeChangedIsLeftAlone(t *testing.T) {
	if got := conntrack("/nonexistent"); !slices.Equal(got, []string{"--conntrack-max-per-core=0"}) {
		t.Errorf("got %v", got)
	}
	if got := conntrack("/dev/null"); len(got) > 0 {
		t.Errorf("got %v", got)
	}
}
