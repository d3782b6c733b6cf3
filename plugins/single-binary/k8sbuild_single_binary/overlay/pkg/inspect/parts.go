package inspect

import (
	"slices"
	"sync"
)

// Part is what a component knows of its part of the data directory. Paths are
// relative to that.
type Part struct {
	// Files go into the archive, by their names there.
	Files map[string]string
	// Large are folders of which the size alone is told.
	Large []string
	// Passing are folders that hold nothing after a stop; they are left out.
	Passing []string
}

type registry struct {
	mu    sync.Mutex
	known []Part
}

var all registry

// Register adds what a component knows. An overlay's package calls it in its
// function Register.
func Register(part Part) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.known = append(all.known, part)
}

func (r *registry) parts() []Part {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.known)
}
