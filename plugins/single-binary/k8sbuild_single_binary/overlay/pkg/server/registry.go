// Package server is the seam between the distribution and its components: what
// a component is, in which order components start, and who brings the storage.
// An overlay's package adds a component of its own in its function Register.
//
// It imports no Kubernetes package.
package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/service"
)

// Role says what a component does for the others. Components start in the
// order of the roles.
type Role string

// The roles, in the order in which their components start.
const (
	RoleStorage           Role = "storage"
	RoleCertificates      Role = "certificates"
	RoleAPIServer         Role = "apiserver"
	RoleControllerManager Role = "controller-manager"
	RoleScheduler         Role = "scheduler"
	RoleRuntime           Role = "container-runtime"
	// RoleNetwork is the pods' network. There may be any number; the name of the
	// one that runs is given by --network.
	RoleNetwork Role = "network"
	RoleKubelet Role = "kubelet"
	RoleProxy   Role = "proxy"
)

var startOrder = []Role{
	RoleStorage, RoleCertificates, RoleAPIServer, RoleControllerManager, RoleScheduler,
	RoleRuntime, RoleNetwork, RoleKubelet, RoleProxy,
}

// Component is one registered component.
type Component struct {
	Name string
	// Role is empty for a component that does none of the known work. There may
	// be any number of those.
	Role Role
	// After and Before name components, or roles, that are ready before this one
	// starts, or start when it is ready. They order and ask for nothing: one that
	// is left out is not waited for. With neither, it starts last.
	After, Before []string
	// Wanted says of a component without role whether a configuration asks for
	// it; without it, all do.
	Wanted func(*config.Config) bool
	// Optional says of a component without role that --disable leaves it out.
	Optional bool
	// Lacks says what this machine lacks that the component needs, and how to get
	// it; nothing where all is there. A server that wants the component does not
	// start without. May be nil.
	Lacks func() (what, fix string)
	// New makes the service from the configuration; it starts nothing.
	New func(*config.Config) (service.Service, error)
}

// Storage is what the service of a component with RoleStorage also is.
type Storage interface {
	service.Service
	// Endpoints are values for --etcd-servers, for example the URL of a unix
	// socket. They are asked for after Start.
	Endpoints() []string
}

// Runtime is what the service of a component with RoleRuntime also is.
type Runtime interface {
	service.Service
	// Endpoint is a value for --container-runtime-endpoint. It is asked for
	// when the service is ready.
	Endpoint() string
}

// Registry holds components by role.
type Registry struct {
	mu         sync.Mutex
	components []Component
}

var registry Registry

// Register adds a component of this process. It panics on a component that
// could never work, since only generated code and main call it.
func Register(c Component) { registry.Register(c) }

// Networks are the names of the registered networks, the values of --network.
func Networks() []string { return registry.Networks() }

// Optional are the names of the registered components that --disable leaves out.
func Optional() []string { return registry.Optional() }

// Components are the registered components that cfg asks for, in start order.
func Components(cfg *config.Config) ([]Component, error) { return registry.Components(cfg) }

// Register adds a component.
func (r *Registry) Register(c Component) {
	if c.Name == "" || c.New == nil || c.Role != "" && !slices.Contains(startOrder, c.Role) {
		panic(fmt.Sprintf("component %q with role %q is incomplete", c.Name, c.Role))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.components = append(r.components, c)
}

// Components are the components that cfg asks for, in start order. Storage is
// left out in HA mode, the agent's components when the agent is disabled, the
// container runtime when the user has one already, networks but the chosen one.
func (r *Registry) Components(cfg *config.Config) ([]Component, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name := r.twice(); name != "" {
		return nil, fmt.Errorf("two components with the name %q are built into this binary", name)
	}
	var wanted []Component
	for _, role := range startOrder {
		if !needed(role, cfg) {
			continue
		}
		of := r.withRole(role)
		if role == RoleNetwork {
			of = slices.DeleteFunc(of, func(c Component) bool { return c.Name != cfg.Network })
		}
		if err := exactlyOne(role, of); err != nil {
			return nil, err
		}
		wanted = append(wanted, of[0])
	}
	others := slices.DeleteFunc(r.withRole(""), func(c Component) bool { return !c.wanted(cfg) })
	slices.SortFunc(others, func(a, b Component) int { return strings.Compare(a.Name, b.Name) })
	return order(append(wanted, others...), r.components)
}

// wanted says of a component without role whether cfg asks for it.
func (c Component) wanted(cfg *config.Config) bool {
	return (c.Wanted == nil || c.Wanted(cfg)) && !(c.Optional && slices.Contains(cfg.Disable, c.Name))
}

// Networks are the names of the networks.
func (r *Registry) Networks() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return namesOf(r.withRole(RoleNetwork))
}

// Optional are the names of the components that may be left out.
func (r *Registry) Optional() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return namesOf(slices.DeleteFunc(r.withRole(""), func(c Component) bool { return !c.Optional }))
}

func namesOf(components []Component) []string {
	names := make([]string, len(components))
	for i, c := range components {
		names[i] = c.Name
	}
	return names
}

// twice is a name that two components have.
func (r *Registry) twice() string {
	seen := map[string]bool{}
	for _, c := range r.components {
		if seen[c.Name] {
			return c.Name
		}
		seen[c.Name] = true
	}
	return ""
}

func (r *Registry) withRole(role Role) []Component {
	var of []Component
	for _, c := range r.components {
		if c.Role == role {
			of = append(of, c)
		}
	}
	return of
}

func needed(role Role, cfg *config.Config) bool {
	switch role {
	case RoleStorage:
		return cfg.ServerMode == config.Single
	case RoleRuntime:
		return !cfg.DisableAgent && cfg.ContainerRuntimeEndpoint == ""
	case RoleNetwork:
		return !cfg.DisableAgent && cfg.Network != config.NoNetwork
	case RoleKubelet, RoleProxy:
		return !cfg.DisableAgent
	}
	return true
}

func exactlyOne(role Role, of []Component) error {
	switch {
	case len(of) == 1:
		return nil
	case len(of) > 1:
		return fmt.Errorf("%d components for the role %q are built into this binary (%s), there must be one",
			len(of), role, strings.Join(namesOf(of), ", "))
	case role == RoleStorage:
		return fmt.Errorf("--server-mode=%s needs a storage component and none is built into this binary; "+
			"use --server-mode=%s with an external etcd, or build with a storage plugin", config.Single, config.HA)
	}
	if role == RoleRuntime {
		return errors.New("a node needs a container runtime and none is built into this binary; " +
			"give the socket of one with --container-runtime-endpoint, give --disable-agent, or build with a runtime plugin")
	}
	return fmt.Errorf("no component for the role %q is built into this binary", role)
}
