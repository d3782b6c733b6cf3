// Package shared is what the Kubernetes components have in common: their one
// set of feature gates, their flags and their health check.
package shared

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/pflag"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	utilversion "k8s.io/apiserver/pkg/util/version"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"

	"k8sbuild.dev/distribution/pkg/admin"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/service"
)

// SetFeatureGates sets the feature gates of all components, which share one
// registry. It comes before any component's options are made, since each of
// them resets what the registry's flags said before.
func SetFeatureGates(gates string) error {
	// The components may apply logging settings again; there is one process
	// and one log, set up by pkg/logs.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	registry := utilversion.DefaultComponentGlobalsRegistry
	registry.ComponentGlobalsOrRegister(utilversion.DefaultKubeComponent,
		utilversion.DefaultBuildEffectiveVersion(), utilfeature.DefaultMutableFeatureGate)
	if err := registry.Set(); err != nil {
		return fmt.Errorf("set emulated version: %w", err)
	}
	if gates == "" {
		return nil
	}
	if err := utilfeature.DefaultMutableFeatureGate.Set(gates); err != nil {
		return fmt.Errorf("--feature-gates=%s: %w", gates, err)
	}
	return nil
}

// Parse reads a component's arguments into its options.
func Parse(component string, sets cliflag.NamedFlagSets, args []string) error {
	fs := pflag.NewFlagSet(component, pflag.ContinueOnError)
	for _, f := range sets.FlagSets {
		fs.AddFlagSet(f)
	}
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("--%s-arg: %w", component, err)
	}
	return nil
}

// CheckExtra refuses what the user's arguments have that a component does not
// know, before anything starts. Flags are made only where there are some.
func CheckExtra(cfg *config.Config, component string, flags func() (cliflag.NamedFlagSets, error)) error {
	args := cfg.Extra(component)
	if len(args) == 0 {
		return nil
	}
	sets, err := flags()
	if err == nil {
		err = Parse(component, sets, args)
	}
	return err
}

// Runner is the service of a component that serves a health check over HTTPS.
func Runner(cfg *config.Config, name, healthURL string, run func(context.Context) error) *service.Runner {
	return &service.Runner{
		Component: name,
		Run:       run,
		IsReady:   Health(cfg, healthURL),
	}
}

// Health asks a health check as the administrator, whose files are there by the
// first question.
func Health(cfg *config.Config, url string) func(context.Context) error {
	var client *http.Client
	return func(ctx context.Context) error {
		if client == nil {
			made, err := admin.Client(cfg)
			if err != nil {
				return err
			}
			client = made
		}
		_, err := admin.Get(ctx, client, url)
		return err
	}
}
