// Package command is the seam through which an overlay's package adds commands
// to k8s, as in k8s backup. It does so in its function Register.
package command

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"k8sbuild.dev/distribution/pkg/config"
)

// New makes a command. cfg has the defaults; the command binds those of its
// fields that it uses to flags, and gets them from the environment as well.
type New func(cfg *config.Config) *cobra.Command

// Registry holds commands.
type Registry struct {
	mu     sync.Mutex
	byName map[string]New
}

var registry Registry

// Register adds a command to those of this process. It panics on a name that is
// taken, since only generated code calls it.
func Register(name string, n New) { registry.Register(name, n) }

// All are the registered commands, by name.
func All() []*cobra.Command { return registry.All() }

// Register adds a command.
func (r *Registry) Register(name string, n New) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName == nil {
		r.byName = map[string]New{}
	}
	if r.byName[name] != nil {
		panic(fmt.Sprintf("two commands with the name %q are built into this binary", name))
	}
	r.byName[name] = n
}

// All makes the registered commands, in the order of their names.
func (r *Registry) All() []*cobra.Command {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name := range r.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	var all []*cobra.Command
	for _, name := range names {
		cmd := r.byName[name](config.Default())
		cmd.PersistentPreRunE = prepare
		all = append(all, cmd)
	}
	return all
}

// prepare sets the flags that the command line has not set, and ends the
// command's context at the first signal: what it has begun, such as a copy of
// the database beside a backup, it takes away again. A second one ends it at once.
func prepare(cmd *cobra.Command, _ []string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	cmd.SetContext(ctx)
	// Other variables with our prefix are flags of the server.
	_, err := config.ApplyEnv(cmd.Flags(), os.Environ())
	return err
}
