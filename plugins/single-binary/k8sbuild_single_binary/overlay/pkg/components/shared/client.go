package shared

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/kubeconfig"
	"k8sbuild.dev/distribution/pkg/service"
)

// ClientConfig is how the server's own components reach the API server.
func ClientConfig(cfg *config.Config) (*rest.Config, error) {
	settings, err := clientcmd.BuildConfigFromFlags("", kubeconfig.Path(cfg, certs.Server))
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return settings, nil
}

// Client is a client of the server's own components.
func Client(cfg *config.Config) (kubernetes.Interface, error) {
	settings, err := ClientConfig(cfg)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return client, nil
}

// Controller is the service of a component that works on what the API server
// has. run gets a client, and calls ready when it knows what there is; until
// then the answer is notYet.
func Controller(cfg *config.Config, name string, notYet error, run func(context.Context, kubernetes.Interface, func()) error) *service.Runner {
	ready := make(chan struct{})
	return &service.Runner{
		Component: name,
		Run: func(ctx context.Context) error {
			client, err := Client(cfg)
			if err != nil {
				return err
			}
			return run(ctx, client, func() { close(ready) })
		},
		IsReady: service.Since(ready, notYet),
	}
}

// Events records events of a component until ctx is over.
func Events(ctx context.Context, cfg *config.Config, component string) (record.EventRecorder, error) {
	client, err := Client(cfg)
	if err != nil {
		return nil, err
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	context.AfterFunc(ctx, broadcaster.Shutdown)
	return broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: component, Host: cfg.NodeName}), nil
}
