// Package manifests keeps a cluster as files say: those of the manifests
// directory, and the add-ons that are built into this binary. They are applied
// when the server starts and when they change, and what a file no longer has is
// removed.
package manifests

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name.
const Name = "manifests"

const (
	// settled is how long files must have been left alone.
	settled = 200 * time.Millisecond
	// What failed is tried again, less and less often.
	firstRetry, lastRetry = time.Second, time.Minute
)

// Register adds the component to the server.
func Register() {
	server.Register(server.Component{
		Name: Name, New: New,
		// What add-ons' pods ask first is a Service.
		After: []string{string(server.RoleControllerManager), string(server.RoleProxy)},
	})
}

// New makes the component's service.
func New(cfg *config.Config) (service.Service, error) {
	addons, err := packaged(cfg)
	if err != nil {
		return nil, err
	}
	return &service.Runner{
		Component: Name,
		Run:       func(ctx context.Context) error { return run(ctx, cfg, addons) },
		IsReady:   func(context.Context) error { return nil },
	}, nil
}

func run(ctx context.Context, cfg *config.Config, addons []source) error {
	settings, err := shared.ClientConfig(cfg)
	if err != nil {
		return err
	}
	client, err := shared.Client(cfg)
	if err != nil {
		return err
	}
	recorder, err := shared.Events(ctx, cfg, Name)
	if err != nil {
		return err
	}
	cluster, err := newCluster(settings)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("ask for the host name: %w", err)
	}
	name := "manifests-of-" + strings.ToLower(host)
	about := &corev1.ObjectReference{Kind: "ConfigMap", APIVersion: "v1", Namespace: namespace, Name: name}
	own := newSet(cluster, client, name, func(reason, message string) {
		recorder.Event(about, corev1.EventTypeWarning, reason, message)
	})
	own.alone = cfg.ServerMode == config.Single
	k := &keeper{dir: cfg.ManifestsDir(), addons: addons, set: own, retry: firstRetry}
	return k.keep(ctx)
}

func newSet(cluster *cluster, client kubernetes.Interface, name string, report func(reason, message string)) *set {
	return &set{
		cluster: cluster, report: report,
		inventory: &inventory{maps: client.CoreV1().ConfigMaps(namespace), name: name},
		applied:   map[id]digest{}, told: map[string]string{},
	}
}

// keeper makes a pass when something has changed, or failed.
type keeper struct {
	dir    string
	addons []source
	set    *set
	retry  time.Duration
}

// keep applies what is there and what comes, until ctx is over.
func (k *keeper) keep(ctx context.Context) error {
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return fmt.Errorf("make the manifests directory: %w", err)
	}
	changes, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch the manifests directory: %w", err)
	}
	defer changes.Close()
	if err := changes.Add(k.dir); err != nil {
		return fmt.Errorf("watch the manifests directory: %w", err)
	}
	wait := k.retry
	next := time.After(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changes.Events:
			wait, next = k.retry, time.After(settled)
		case err := <-changes.Errors:
			klog.ErrorS(err, "Changes in the manifests directory may have been missed")
			next = time.After(settled)
		case <-next:
			next = nil
			if !k.pass(ctx) {
				next, wait = time.After(wait), min(2*wait, lastRetry)
			}
		}
	}
}

// pass applies all, and says whether all is done.
func (k *keeper) pass(ctx context.Context) bool {
	own, err := files(k.dir)
	if err != nil {
		klog.ErrorS(err, "Cannot read the manifests directory")
		return false
	}
	return k.set.pass(ctx, append(slices.Clone(k.addons), own...))
}
