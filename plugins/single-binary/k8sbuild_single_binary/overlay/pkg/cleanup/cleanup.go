// Package cleanup is what takes a node off a machine: the seam at which
// overlays register what theirs leave behind, and the tools for it. Everything
// is looked for on the machine, for the server that left it may have been
// killed, and the machine may have been started again.
//
// It imports no Kubernetes package.
package cleanup

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"k8sbuild.dev/distribution/pkg/config"
)

// Func removes what one component leaves on the machine. The server does not
// run then. What is not there is no error.
type Func func(ctx context.Context, cfg *config.Config) error

type entry struct {
	name string
	run  Func
}

// registry holds cleanups in the order in which they were registered.
type registry struct {
	mu      sync.Mutex
	entries []entry
}

var all registry

// Register adds the cleanup of a component. An overlay's package calls it in
// its function Register.
func Register(name string, run func(ctx context.Context, cfg *config.Config) error) {
	all.register(name, run)
}

// Run runs every cleanup, whether or not others fail, and joins their errors.
// told is given each one's name when it has ended.
func Run(ctx context.Context, cfg *config.Config, told func(name string, err error)) error {
	return all.run(ctx, cfg, told)
}

func (r *registry) register(name string, run Func) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = append(r.entries, entry{name, run})
}

func (r *registry) run(ctx context.Context, cfg *config.Config, told func(string, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, e := range r.entries {
		err := e.run(ctx, cfg)
		told(e.name, err)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.name, err))
		}
	}
	return errors.Join(errs...)
}
