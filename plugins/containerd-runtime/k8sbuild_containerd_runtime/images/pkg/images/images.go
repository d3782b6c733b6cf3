// Package images brings the images that lie in files on this machine into the
// container runtime, so that a node needs no registry: those that the
// distribution ships, and what its user puts into the folder images of the data
// directory, at the start and later.
package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name.
const Name = "images"

const (
	// patience is how long the kubelet waits for the images that are there at
	// the start. What takes longer comes while it runs.
	patience = 20 * time.Second
	// settled is how long a file must have been left alone to be whole.
	settled = time.Second
)

// suffixes are those of files with images.
var suffixes = []string{".tar", ".tar.gz", ".tar.zst"}

var errNotYet = errors.New("images are being imported")

// Register adds the component to the server.
func Register() {
	server.Register(server.Component{
		Name: Name, New: New,
		After:  []string{string(server.RoleRuntime)},
		Before: []string{string(server.RoleKubelet)},
		Wanted: wanted,
	})
}

// wanted says whether the runtime is ours: another one's images are not ours to change.
func wanted(cfg *config.Config) bool { return !cfg.DisableAgent && cfg.ContainerRuntimeEndpoint == "" }

// New makes the component's service.
func New(cfg *config.Config) (service.Service, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	ready := make(chan struct{})
	return &service.Runner{
		Component: Name,
		Run: func(ctx context.Context) error {
			return run(ctx, cfg, filepath.Dir(executable), func() { close(ready) })
		},
		IsReady: readyOrPatient(ready, patience),
	}, nil
}

func run(ctx context.Context, cfg *config.Config, beside string, ready func()) error {
	conn, err := grpc.NewClient(cfg.RuntimeEndpoint(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("make a client of the container runtime: %w", err)
	}
	defer conn.Close()
	recorder, err := shared.Events(ctx, cfg, Name)
	if err != nil {
		return err
	}
	// As the kubelet names the node, so that `kubectl describe node` has it.
	node := &corev1.ObjectReference{Kind: "Node", Name: cfg.NodeName, UID: types.UID(cfg.NodeName)}
	f := &folder{
		dir:     cfg.Path("images"),
		beside:  beside,
		notes:   notes{file: cfg.Path("containerd", "images.json")},
		runtime: &client{conn: conn},
		report:  func(reason, message string) { recorder.Event(node, corev1.EventTypeWarning, reason, message) },
	}
	return f.keep(ctx, ready)
}

// readyOrPatient is ready when the first pass is over, or has taken too long.
func readyOrPatient(ready <-chan struct{}, patience time.Duration) func(context.Context) error {
	var deadline time.Time
	isReady := service.Since(ready, errNotYet)
	return func(ctx context.Context) error {
		if deadline.IsZero() {
			deadline = time.Now().Add(patience)
		}
		err := isReady(ctx)
		if err != nil && time.Now().After(deadline) {
			klog.InfoS("The kubelet starts while images are still imported")
			return nil
		}
		return err
	}
}
