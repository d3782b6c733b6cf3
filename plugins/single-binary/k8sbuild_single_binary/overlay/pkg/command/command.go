// Package command is the seam through which an overlay's package adds commands
// to k8s, as in k8s backup. It does so in its function Register.
package command

import (
	"fmt"
	"os"
	"slices"
	"sync"

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
		cmd.PersistentPreRunE = fromEnv
		all = append(all, cmd)
	}
	return all
}

// fromEnv sets the flags that the command line has not set.
func fromEnv(cmd *cobra.Command, _ []string) error {
	// Other variables with our prefix are flags of the server.
	_, err := config.ApplyEnv(cmd.Flags(), os.Environ())
	return err
}
