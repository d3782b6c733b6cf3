// Package drain ends the pods of the node before the server stops, and lets the
// node have pods again at the next start.
package drain

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/config"
)

// cordoned marks a node that we cordoned: one that somebody else did stays as
// it is.
const cordoned = "k8sbuild.dev/cordoned-by-stop"

// systemCritical is the least priority of what other pods need to end well, such
// as the cluster's DNS.
const systemCritical = 2_000_000_000

// Node is the node of this machine.
type Node struct {
	client kubernetes.Interface
	name   string
	// poll is the time between two questions for pods that still run.
	poll time.Duration
}

// New makes a client for the node, as the administrator.
func New(cfg *config.Config) (*Node, error) {
	settings, err := clientcmd.BuildConfigFromFlags("", cfg.AdminKubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return &Node{client, cfg.NodeName, 200 * time.Millisecond}, nil
}

// Drain cordons the node and ends its pods, each with its own time for an
// orderly end, as far as ctx has time. Those of DaemonSets, which would come
// again at once, and static ones run on. What is still there when ctx is over is
// an error.
func (n *Node) Drain(ctx context.Context) error {
	if err := n.cordon(ctx); err != nil {
		return err
	}
	for _, critical := range []bool{false, true} {
		if err := n.end(ctx, critical); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) cordon(ctx context.Context) error {
	node, err := n.client.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("cordon node %s: %w", n.name, err)
	}
	if node.Spec.Unschedulable {
		return nil
	}
	return n.patch(ctx, fmt.Sprintf(`{"metadata": {"annotations": {%q: "true"}}, "spec": {"unschedulable": true}}`, cordoned))
}

// Uncordon lets the node have pods again if Drain is what kept them from it.
func (n *Node) Uncordon(ctx context.Context) error {
	node, err := n.client.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil // it is a new one
	} else if err != nil {
		return fmt.Errorf("uncordon node %s: %w", n.name, err)
	}
	if _, ours := node.Annotations[cordoned]; !ours {
		return nil
	}
	klog.InfoS("Node has pods again", "node", n.name)
	return n.patch(ctx, fmt.Sprintf(`{"metadata": {"annotations": {%q: null}}, "spec": {"unschedulable": null}}`, cordoned))
}

func (n *Node) patch(ctx context.Context, text string) error {
	_, err := n.client.CoreV1().Nodes().Patch(ctx, n.name, types.StrategicMergePatchType, []byte(text), metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("change node %s: %w", n.name, err)
	}
	return nil
}

// end ends the pods of one kind and waits until they are gone.
func (n *Node) end(ctx context.Context, critical bool) error {
	asked := map[types.UID]bool{}
	for {
		pods, err := n.pods(ctx, critical)
		if err != nil {
			return err
		}
		if len(pods) == 0 {
			return nil
		}
		for _, pod := range pods {
			if asked[pod.UID] {
				continue
			}
			if err := n.evict(ctx, pod); err != nil {
				return err
			}
			asked[pod.UID] = true
		}
		select {
		case <-time.After(n.poll):
		case <-ctx.Done():
			return fmt.Errorf("%d pods still run: %w", len(pods), context.Cause(ctx))
		}
	}
}

func (n *Node) pods(ctx context.Context, critical bool) ([]corev1.Pod, error) {
	of := fields.OneTermEqualSelector("spec.nodeName", n.name).String()
	list, err := n.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: of})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	var wanted []corev1.Pod
	for _, pod := range list.Items {
		if ends(pod) && isCritical(pod) == critical {
			wanted = append(wanted, pod)
		}
	}
	return wanted, nil
}

// ends says whether a pod is to end.
func ends(pod corev1.Pod) bool {
	if _, static := pod.Annotations[corev1.MirrorPodAnnotationKey]; static {
		return false
	}
	if owner := metav1.GetControllerOf(&pod); owner != nil && owner.Kind == "DaemonSet" {
		return false
	}
	return pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

func isCritical(pod corev1.Pod) bool {
	return pod.Spec.Priority != nil && *pod.Spec.Priority >= systemCritical
}

// evict asks for an eviction; a pod that a disruption budget wants to stay is
// deleted, since it would end with the machine anyhow.
func (n *Node) evict(ctx context.Context, pod corev1.Pod) error {
	options := metav1.DeleteOptions{GracePeriodSeconds: n.grace(ctx, pod), Preconditions: &metav1.Preconditions{UID: &pod.UID}}
	pods := n.client.CoreV1().Pods(pod.Namespace)
	err := pods.EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}, DeleteOptions: &options})
	if apierrors.IsTooManyRequests(err) {
		klog.InfoS("A disruption budget refuses the pod's eviction, deleting it", "pod", klog.KObj(&pod))
		err = pods.Delete(ctx, pod.Name, options)
	}
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("evict pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

// margin is what the kubelet needs beside a pod's own time.
const margin = 2 * time.Second

// grace is the pod's own time for an orderly end, or what is left if that is less.
func (n *Node) grace(ctx context.Context, pod corev1.Pod) *int64 {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return nil
	}
	left := max(1, int64((time.Until(deadline) - margin).Seconds()))
	if own := pod.Spec.TerminationGracePeriodSeconds; own != nil && *own <= left {
		return nil
	}
	return &left
}

// errLimit is the end of the time that --drain-on-stop gives.
var errLimit = errors.New("the time of --drain-on-stop is over")

// Before is what the server does before it stops. It bounds itself.
func Before(ctx context.Context, cfg *config.Config) {
	if cfg.DrainOnStop == 0 || cfg.DisableAgent {
		return
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.DrainOnStop, errLimit)
	defer cancel()
	n, err := New(cfg)
	if err == nil {
		err = n.Drain(ctx)
	}
	if err != nil {
		klog.ErrorS(err, "The node's pods have not all ended", "took", time.Since(begin).Round(time.Millisecond))
		return
	}
	klog.InfoS("The node's pods have ended", "took", time.Since(begin).Round(time.Millisecond))
}

// After is what the server does after its start.
func After(ctx context.Context, cfg *config.Config) {
	if cfg.DisableAgent {
		return
	}
	n, err := New(cfg)
	if err == nil {
		err = n.Uncordon(ctx)
	}
	if err != nil {
		klog.ErrorS(err, "The node stays cordoned")
	}
}
