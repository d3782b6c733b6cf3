// Package kubelet runs the kubelet in this process.
package kubelet

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/featuregate"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name.
const Name = "kubelet"

// Register adds the component to the server.
func Register() {
	server.Register(server.Component{Name: Name, Role: server.RoleKubelet, New: New})
	cleanup.Register(Name, clean)
}

// New makes the component's service. Most of the kubelet never stops and has
// nothing to lose, so that the process ends without waiting for it.
//
// It is ready when it answers with a certificate of the cluster's. Whether the
// node is ready is said in the log: it may need a network that comes through
// the API server.
func New(cfg *config.Config) (service.Service, error) {
	s, err := settings(cfg)
	if err != nil {
		return nil, err
	}
	run := func(ctx context.Context) error { return run(ctx, cfg, s, app.Run) }
	address := net.JoinHostPort(cfg.NodeIPs[0], strconv.Itoa(int(s.Port)))
	r := shared.Runner(cfg, Name, "https://"+address+"/healthz", run)
	r.IsAlive = r.IsReady
	r.Abandon = shared.AbandonAfter
	// Each question before that would be a line in the log.
	r.IsReady = after(current(s, "server"), r.IsReady)
	return r, nil
}

// after asks only when the file is there.
func after(file string, ask func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("no serving certificate yet: %w", err)
		}
		return ask(ctx)
	}
}

// starter is upstream's app.Run.
type starter func(context.Context, *options.KubeletServer, *kubelet.Dependencies, featuregate.FeatureGate) error

func run(ctx context.Context, cfg *config.Config, s *options.KubeletServer, start starter) error {
	began := time.Now()
	s.ContainerRuntimeEndpoint = cfg.RuntimeEndpoint()
	driver, err := cgroupDriver(ctx, s.ContainerRuntimeEndpoint)
	if err != nil {
		return err
	}
	s.CgroupDriver = firstOf(s.CgroupDriver, driver)
	if err := identify(ctx, cfg, s); err != nil {
		return err
	}
	deps, err := app.UnsecuredDependencies(s, utilfeature.DefaultFeatureGate)
	if err != nil {
		return fmt.Errorf("make dependencies: %w", err)
	}
	client, err := shared.Client(cfg)
	if err != nil {
		return err
	}
	go reportReady(ctx, client, cfg, began)
	return start(ctx, s, deps, utilfeature.DefaultFeatureGate)
}

// reportReady says when the node is ready.
func reportReady(ctx context.Context, client kubernetes.Interface, cfg *config.Config, began time.Time) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		node, err := client.CoreV1().Nodes().Get(ctx, cfg.NodeName, metav1.GetOptions{})
		if err == nil && isReady(node, began) {
			klog.InfoS("Node is ready", "node", cfg.NodeName, "took", time.Since(began).Round(time.Millisecond),
				"sinceStart", time.Since(cfg.Began).Round(time.Millisecond))
			return
		}
	}
}

// isReady says whether the kubelet has said so since then: the API server may
// still have what it said before the process was started again.
func isReady(node *corev1.Node, since time.Time) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue && !c.LastHeartbeatTime.Time.Before(since.Truncate(time.Second))
		}
	}
	return false
}
