// Package kubelet links the kubelet into this process. The configuration
// refuses to run without --disable-agent for now.
package kubelet

import (
	"context"
	"fmt"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"

	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name.
const Name = "kubelet"

// Register adds the component to the server.
func Register() { server.Register(server.Component{Name: Name, Role: server.RoleKubelet, New: New}) }

// New makes the component's service.
func New(cfg *config.Config) (service.Service, error) {
	return shared.Runner(cfg, Name, cfg.LocalURL(10250, "/healthz"), run), nil
}

func run(ctx context.Context) error {
	settings, err := options.NewKubeletConfiguration()
	if err != nil {
		return fmt.Errorf("make configuration: %w", err)
	}
	s := &options.KubeletServer{KubeletFlags: *options.NewKubeletFlags(), KubeletConfiguration: *settings}
	deps, err := app.UnsecuredDependencies(s, utilfeature.DefaultFeatureGate)
	if err != nil {
		return fmt.Errorf("make dependencies: %w", err)
	}
	return app.Run(ctx, s, deps, utilfeature.DefaultFeatureGate)
}
