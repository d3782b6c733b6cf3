// Package kubelet links the kubelet into this process. The configuration
// refuses to run without --disable-agent for now.
package kubelet

import (
	"context"
	"fmt"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	"k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet"

	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name.
const Name = "kubelet"

// Register adds the component to the server.
func Register() { server.Register(server.Component{Name: Name, Role: server.RoleKubelet, New: New}) }

// New makes the component's service. Most of the kubelet never stops and has
// nothing to lose, so that the process ends without waiting for it.
func New(cfg *config.Config) (service.Service, error) {
	run := func(ctx context.Context) error { return run(ctx, cfg, app.Run) }
	r := shared.Runner(cfg, Name, cfg.LocalURL(10250, "/healthz"), run)
	r.Abandon = shared.AbandonAfter
	return r, nil
}

// starter is upstream's app.Run.
type starter func(context.Context, *options.KubeletServer, *kubelet.Dependencies, featuregate.FeatureGate) error

func run(ctx context.Context, cfg *config.Config, start starter) error {
	settings, err := options.NewKubeletConfiguration()
	if err != nil {
		return fmt.Errorf("make configuration: %w", err)
	}
	s := &options.KubeletServer{KubeletFlags: *options.NewKubeletFlags(), KubeletConfiguration: *settings}
	s.CertDirectory = cfg.Path("kubelet", "pki")
	deps, err := app.UnsecuredDependencies(s, utilfeature.DefaultFeatureGate)
	if err != nil {
		return fmt.Errorf("make dependencies: %w", err)
	}
	return start(ctx, s, deps, utilfeature.DefaultFeatureGate)
}
