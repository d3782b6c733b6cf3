// Package addons is the seam between the distribution and the manifests that
// are built into it: what an add-on is, and which ones a configuration asks for.
// An overlay's package adds one of its own in its function Register; the server
// applies it as it applies the files of its manifests directory.
//
// It imports no Kubernetes package.
package addons

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"text/template"

	"k8sbuild.dev/distribution/pkg/config"
)

// Addon is a packaged manifest.
type Addon struct {
	// Name is what --disable calls it.
	Name string
	// Render makes its manifest: YAML documents for this configuration.
	Render func(*config.Config) ([]byte, error)
}

// Registry holds add-ons.
type Registry struct {
	mu     sync.Mutex
	addons []Addon
}

var registry Registry

// Register adds an add-on to this process. It panics on one that could never
// work, since only generated code calls it.
func Register(a Addon) { registry.Register(a) }

// Names are the names of the add-ons.
func Names() []string { return registry.Names() }

// Enabled are the add-ons that cfg asks for, by name.
func Enabled(cfg *config.Config) []Addon { return registry.Enabled(cfg) }

// Register adds an add-on.
func (r *Registry) Register(a Addon) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.Name == "" || a.Render == nil || slices.ContainsFunc(r.addons, func(b Addon) bool { return b.Name == a.Name }) {
		panic(fmt.Sprintf("add-on %q is incomplete, or there twice", a.Name))
	}
	r.addons = append(r.addons, a)
}

// Enabled are the add-ons that cfg does not disable, by name.
func (r *Registry) Enabled(cfg *config.Config) []Addon {
	r.mu.Lock()
	defer r.mu.Unlock()
	var enabled []Addon
	for _, a := range r.addons {
		if !slices.Contains(cfg.Disable, a.Name) {
			enabled = append(enabled, a)
		}
	}
	slices.SortFunc(enabled, func(a, b Addon) int { return strings.Compare(a.Name, b.Name) })
	return enabled
}

// Fill makes a manifest from a template of package text/template and the values
// of a cluster.
func Fill(manifest string, values any) ([]byte, error) {
	parsed, err := template.New("manifest").Option("missingkey=error").Parse(manifest)
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, values); err != nil {
		return nil, fmt.Errorf("fill the manifest: %w", err)
	}
	return text.Bytes(), nil
}

// Names are the names of the add-ons.
func (r *Registry) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, a := range r.addons {
		names = append(names, a.Name)
	}
	return names
}
