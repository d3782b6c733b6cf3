package drain

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	core "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	policyv1 "k8s.io/api/policy/v1"

	"k8sbuild.dev/distribution/pkg/config"
)

func pod(name string, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name)},
		Spec:       corev1.PodSpec{NodeName: "node-1", TerminationGracePeriodSeconds: ptr.To[int64](5)},
	}
	if change != nil {
		change(p)
	}
	return p
}

// cluster is one whose evictions end pods at once, but for what refuse says.
func cluster(refuse func(name string) error, objects ...runtime.Object) (n *Node, client *fake.Clientset, evicted *[]string) {
	client, evicted = fake.NewSimpleClientset(objects...), &[]string{}
	client.PrependReactor("create", "pods", func(action core.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "eviction" {
			return false, nil, nil
		}
		name := action.(core.CreateAction).GetObject().(*policyv1.Eviction).Name
		*evicted = append(*evicted, name)
		if err := refuse(name); err != nil {
			return true, nil, err
		}
		return true, nil, client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "ns", name)
	})
	return &Node{client, "node-1", time.Millisecond}, client, evicted
}

func node(change func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}}
	if change != nil {
		change(n)
	}
	return n
}

func never(string) error { return nil }

func (n *Node) state(t *testing.T) (unschedulable, ours bool) {
	t.Helper()
	found, err := n.client.CoreV1().Nodes().Get(t.Context(), n.name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, ours = found.Annotations[cordoned]
	return found.Spec.Unschedulable, ours
}

func TestPodsEndInOrder(t *testing.T) {
	budget := func(name string) error {
		if name == "kept" {
			return apierrors.NewTooManyRequests("a budget", 1)
		}
		return nil
	}
	n, client, evicted := cluster(budget, node(nil),
		pod("dns", func(p *corev1.Pod) { p.Spec.Priority = ptr.To[int32](systemCritical) }),
		pod("app", nil), pod("kept", nil),
		pod("static", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }),
		pod("daemon", func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Controller: ptr.To(true)}}
		}),
		pod("done", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
	)
	if err := n.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(*evicted, []string{"app", "kept", "dns"}) {
		t.Errorf("evicted %q", *evicted)
	}
	left, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) != 3 {
		t.Errorf("left %d, %v", len(left.Items), err)
	}
	if unschedulable, ours := n.state(t); !unschedulable || !ours {
		t.Errorf("unschedulable %t, ours %t", unschedulable, ours)
	}
	for range 2 {
		if err := n.Uncordon(t.Context()); err != nil {
			t.Fatal(err)
		}
		if unschedulable, ours := n.state(t); unschedulable || ours {
			t.Errorf("unschedulable %t, ours %t", unschedulable, ours)
		}
	}
}

// A node that an administrator cordoned is still cordoned after a restart.
func TestCordonOfOthersStays(t *testing.T) {
	n, _, _ := cluster(never, node(func(n *corev1.Node) { n.Spec.Unschedulable = true }))
	if err := errors.Join(n.Drain(t.Context()), n.Uncordon(t.Context())); err != nil {
		t.Fatal(err)
	}
	if unschedulable, ours := n.state(t); !unschedulable || ours {
		t.Errorf("unschedulable %t, ours %t", unschedulable, ours)
	}
}

func TestTimeIsLimited(t *testing.T) {
	n, client, _ := cluster(never, node(nil), pod("stuck", nil))
	client.PrependReactor("create", "pods", func(core.Action) (bool, runtime.Object, error) { return true, nil, nil })
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errLimit)
	defer cancel()
	if err := n.Drain(ctx); err == nil || err.Error() != "1 pods still run: the time of --drain-on-stop is over" {
		t.Errorf("got %v", err)
	}
}

func TestGraceIsThePodsOwnIfThereIsTime(t *testing.T) {
	n := &Node{}
	long := *pod("long", func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = ptr.To[int64](600) })
	if got := n.grace(t.Context(), long); got != nil {
		t.Errorf("got %d without a limit", *got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if got := n.grace(ctx, *pod("short", nil)); got != nil {
		t.Errorf("got %d of one that has the time", *got)
	}
	if got := n.grace(ctx, long); got == nil || *got < 50 || *got > 58 {
		t.Errorf("got %v", got)
	}
}

func TestFailures(t *testing.T) {
	for want, tc := range map[string]struct{ verb, resource string }{
		"cordon node node-1": {"get", "nodes"},
		"change node node-1": {"patch", "nodes"},
		"list pods":          {"list", "pods"},
		"evict pod ns/app":   {"create", "pods"},
	} {
		n, client, _ := cluster(never, node(nil), pod("app", nil))
		client.PrependReactor(tc.verb, tc.resource, func(core.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no") })
		if err := n.Drain(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	n, client, _ := cluster(never)
	if err := n.Uncordon(t.Context()); err != nil {
		t.Errorf("a new node: %v", err)
	}
	client.PrependReactor("get", "nodes", func(core.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no") })
	if err := n.Uncordon(t.Context()); err == nil {
		t.Error("no error")
	}
}

// Neither a start nor a stop fails for it.
func TestServerGoesOnWithoutAnAnswer(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir = filepath.Join(t.TempDir(), "none")
	Before(t.Context(), cfg)
	cfg.DrainOnStop = time.Second
	Before(t.Context(), cfg)
	After(t.Context(), cfg)
	cfg.DisableAgent = true
	After(t.Context(), cfg)
	if _, err := New(cfg); err == nil {
		t.Error("a client without a kubeconfig")
	}
}
