// Package proxy links kube-proxy into this process. The configuration refuses
// to run without --disable-agent for now.
package proxy

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/kubernetes/cmd/kube-proxy/app"

	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name.
const Name = "kube-proxy"

// Register adds the component to the server.
func Register() { server.Register(server.Component{Name: Name, Role: server.RoleProxy, New: New}) }

// New makes the component's service.
func New(cfg *config.Config) (service.Service, error) {
	return shared.Runner(cfg, Name, "http://127.0.0.1:10256/healthz", run), nil
}

// run keeps kube-proxy's flags out of the process's own set.
func run(ctx context.Context) error {
	o := app.NewOptions()
	fs := pflag.NewFlagSet(Name, pflag.ContinueOnError)
	o.AddFlags(fs)
	if err := o.Complete(fs); err != nil {
		return fmt.Errorf("complete options: %w", err)
	}
	if err := o.Validate(); err != nil {
		return fmt.Errorf("validate options: %w", err)
	}
	return o.Run(ctx)
}
