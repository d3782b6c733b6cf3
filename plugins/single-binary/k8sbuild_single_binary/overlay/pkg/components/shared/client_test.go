package shared

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/kubeconfig"
)

// credentials makes what the server's own components have to reach the API server.
func credentials(t *testing.T, cfg *config.Config) {
	t.Helper()
	if _, err := certs.EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	if err := kubeconfig.EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
}

func TestControllerIsReadyWhenItSaysSo(t *testing.T) {
	cfg, notYet := componenttest.Node(t), errors.New("not yet")
	s := Controller(cfg, "x", notYet, func(ctx context.Context, client kubernetes.Interface, ready func()) error {
		if client == nil {
			t.Error("no client")
		}
		ready()
		return ctx.Err()
	})
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "read kubeconfig") {
		t.Errorf("got %v", err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, notYet) {
		t.Errorf("got %v", err)
	}
	credentials(t, cfg)
	if err := errors.Join(s.Run(t.Context()), s.Ready(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestEventsReachTheAPIServer(t *testing.T) {
	cfg := componenttest.Node(t)
	if _, err := Events(t.Context(), cfg, "x"); err == nil || !strings.Contains(err.Error(), "read kubeconfig") {
		t.Errorf("got %v", err)
	}
	credentials(t, cfg)
	got := make(chan corev1.Event, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event corev1.Event
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s: %v", r.Method, err)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(event)
		got <- event
	}))
	listener, err := net.Listen("tcp", strings.TrimPrefix(cfg.APIServerURL(), "https://"))
	if err != nil {
		t.Fatal(err)
	}
	s.Listener.Close()
	s.Listener, s.TLS = listener, serving(t, cfg)
	s.StartTLS()
	defer s.Close()
	recorder, err := Events(t.Context(), cfg, "x")
	if err != nil {
		t.Fatal(err)
	}
	recorder.Event(&corev1.ObjectReference{Kind: "Node", Name: "node"}, corev1.EventTypeWarning, "Broken", "it is broken")
	if e := <-got; e.Reason != "Broken" || e.Source.Component != "x" || e.Source.Host != "node" || e.InvolvedObject.Name != "node" {
		t.Errorf("got %+v", e)
	}
}
