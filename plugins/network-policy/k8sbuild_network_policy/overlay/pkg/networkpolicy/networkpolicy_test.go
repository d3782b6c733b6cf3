package networkpolicy

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/nettest"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

func TestMain(m *testing.M) { nettest.Main(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhoBringsANetworkBringsItsPolicies(t *testing.T) {
	for _, tc := range []struct {
		cfg  config.Config
		want bool
	}{
		{config.Config{Network: "bridge"}, true},
		{config.Config{Network: config.NoNetwork}, false},
		{config.Config{Network: "bridge", DisableAgent: true}, false},
	} {
		if got := wanted(&tc.cfg); got != tc.want {
			t.Errorf("%+v: %t", tc.cfg, got)
		}
	}
}

func TestService(t *testing.T) {
	Register()
	if !slices.Contains(server.Optional(), Name) {
		t.Errorf("cannot be left out: %v", server.Optional())
	}
	s, err := New(componenttest.Node(t))
	if err != nil || s.Name() != Name {
		t.Fatal(s, err)
	}
	if err := s.Ready(t.Context()); err == nil {
		t.Error("ready before the start")
	}
	if err := s.(*service.Runner).Run(t.Context()); err == nil {
		t.Error("runs without certificates")
	}
}

func TestReadyWhenSomebodyListens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queues")
	for text, want := range map[string]bool{
		"": false,
		"  100   1234     0 2   128     0     0        0  1\n":                                                  false,
		"  1071  1234     0 2   128     0     0        0  1\n":                                                  false,
		"  100   1234     0 2   128     0     0        0  1\n  107  99     0 2   128     0     0        0  1\n": true,
	} {
		must(t, os.WriteFile(file, []byte(text), 0o600))
		if err := listening(file); (err == nil) != want || err != nil && !errors.Is(err, errNotYet) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := listening(file + "x"); err == nil || errors.Is(err, errNotYet) {
		t.Errorf("a kernel without queues: %v", err)
	}
}

func TestFirstStatementThatTheKernelTakes(t *testing.T) {
	for refused := range 3 {
		asked := 0
		got, err := choose(func(expr.Any) error {
			if asked++; asked <= refused {
				return errors.New("no such file")
			}
			return nil
		})
		if refused == 2 {
			if err == nil || !strings.Contains(err.Error(), "Queue: no such file") || !strings.Contains(err.Error(), "Target: no such file") {
				t.Errorf("got %v", err)
			}
		} else if err != nil || !reflect.DeepEqual(got, statements()[refused]) {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

// The kernel's own structures (nf_tables.h, xt_NFQUEUE.h) have these values.
func TestPacketsPassWhileNobodyListens(t *testing.T) {
	queue, ok := statements()[0].(*expr.Queue)
	if !ok || queue.Num != number || queue.Flag != expr.QueueFlagBypass {
		t.Errorf("got %+v", queue)
	}
	other, ok := statements()[1].(*expr.Target)
	if !ok || other.Name != "NFQUEUE" || other.Rev != 3 {
		t.Fatalf("got %+v", other)
	}
	info := *other.Info.(*xt.Unknown)
	little := []byte{number, 0, 1, 0, 1, 0, 0, 0}
	big := []byte{0, number, 0, 1, 0, 1, 0, 0}
	if !slices.Equal(info, little) && !slices.Equal(info, big) {
		t.Errorf("got %v", info)
	}
}

func TestSlimKeepsWhatPoliciesAreAbout(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "a", Namespace: "ns", ResourceVersion: "7", Labels: map[string]string{"app": "a"}}
	much := meta
	much.Annotations = map[string]string{"long": "text"}
	much.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m"}}
	ports := []corev1.ContainerPort{{Name: "http", ContainerPort: 80}}
	status := corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.42.0.5"}}}
	full := status
	full.Message = "long"
	spec := networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}}
	for _, tc := range []struct{ given, want any }{
		{
			&corev1.Pod{ObjectMeta: much, Status: full, Spec: corev1.PodSpec{
				NodeName: "node", ServiceAccountName: "s",
				Containers: []corev1.Container{{Name: "none", Image: "i"}, {Name: "one", Image: "i", Ports: ports}},
			}},
			&corev1.Pod{ObjectMeta: meta, Status: status, Spec: corev1.PodSpec{
				NodeName: "node", Containers: []corev1.Container{{Ports: ports}},
			}},
		},
		{
			&corev1.Pod{ObjectMeta: much, Status: full, Spec: corev1.PodSpec{NodeName: "node", HostNetwork: true}},
			&corev1.Pod{ObjectMeta: meta, Status: corev1.PodStatus{Phase: corev1.PodRunning}, Spec: corev1.PodSpec{NodeName: "node", HostNetwork: true}},
		},
		{&corev1.Namespace{ObjectMeta: much}, &corev1.Namespace{ObjectMeta: meta}},
		{&networkingv1.NetworkPolicy{ObjectMeta: much, Spec: spec}, &networkingv1.NetworkPolicy{ObjectMeta: meta, Spec: spec}},
		{"gone", "gone"},
	} {
		got, err := slim(tc.given)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("got %+v, %v", got, err)
		}
		// Caches give it what it gave them.
		if again, err := slim(got); err != nil || !reflect.DeepEqual(again, tc.want) {
			t.Errorf("then %+v, %v", again, err)
		}
	}
}

func TestPodsThatHaveEndedAreLeftOut(t *testing.T) {
	var o metav1.ListOptions
	if unfinished(&o); o.FieldSelector != "status.phase!=Succeeded,status.phase!=Failed" {
		t.Errorf("got %q", o.FieldSelector)
	}
}
