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

// New makes the component's service. kube-proxy never stops and has nothing to
// lose, so that the process ends without waiting for it.
func New(cfg *config.Config) (service.Service, error) {
	run := func(ctx context.Context) error { return run(ctx, nil, (*app.Options).Run) }
	r := shared.Runner(cfg, Name, "http://127.0.0.1:10256/healthz", run)
	r.Abandon = shared.AbandonAfter
	return r, nil
}

// run keeps kube-proxy's flags out of the process's own set.
func run(ctx context.Context, args []string, start func(*app.Options, context.Context) error) error {
	o := app.NewOptions()
	fs := pflag.NewFlagSet(Name, pflag.ContinueOnError)
	o.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("arguments of %s: %w", Name, err)
	}
	if err := o.Complete(fs); err != nil {
		return fmt.Errorf("complete options: %w", err)
	}
	if err := o.Validate(); err != nil {
		return fmt.Errorf("validate options: %w", err)
	}
	return start(o, ctx)
}
