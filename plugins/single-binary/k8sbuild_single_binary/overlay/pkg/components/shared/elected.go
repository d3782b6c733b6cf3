package shared

import (
	"context"
	"net"
	"time"

	"k8s.io/component-base/configz"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/service"
)

// LeaseLost is the text of the error with which a component's Run ends when it
// is no longer the leader. Our patch of kube-controller-manager uses the text
// that kube-scheduler has.
const LeaseLost = "lost lease"

// AbandonAfter bounds the stop of a component whose state is all in the API
// server. A controller manager that is told to stop while it still starts its
// controllers tries on for minutes.
const AbandonAfter = 2 * time.Second

// IsLeaseLost says whether a component ended because it lost its lease.
func IsLeaseLost(err error) bool { return err != nil && err.Error() == LeaseLost }

// Elected is the service of a component that serves on a port of its own and
// begins anew when it loses its lease. Each term gets a listener, which
// upstream's server closes when ctx is over; it panics if another does.
// configzName is what the component calls its configuration.
func Elected(cfg *config.Config, name, configzName string, port int, run func(context.Context, net.Listener) error) *service.Runner {
	term := func(ctx context.Context) error {
		// A name that is still there from the term before fails the start.
		configz.Delete(configzName)
		listener, err := Listen(ctx, port)
		if err != nil {
			return err
		}
		return run(ctx, listener)
	}
	r := Runner(cfg, name, cfg.LocalURL(port, "/healthz"), service.Restart(term, IsLeaseLost))
	r.Abandon = AbandonAfter
	return r
}
