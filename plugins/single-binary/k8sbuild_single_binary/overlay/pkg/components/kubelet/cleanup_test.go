package kubelet

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	criapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// pods is a container runtime with two pods.
type pods struct {
	criapi.RuntimeService
	did   []string
	fails string
}

func (p *pods) do(what string) error {
	if what == p.fails {
		return errors.New("no way")
	}
	p.did = append(p.did, what)
	return nil
}

func (p *pods) ListPodSandbox(context.Context, *runtimeapi.PodSandboxFilter) ([]*runtimeapi.PodSandbox, error) {
	if err := p.do("list"); err != nil {
		return nil, err
	}
	meta := &runtimeapi.PodSandboxMetadata{Namespace: "ns", Name: "pod"}
	return []*runtimeapi.PodSandbox{{Id: "1", Metadata: meta}, {Id: "2", Metadata: meta}}, nil
}

func (p *pods) StopPodSandbox(_ context.Context, id string) error   { return p.do("stop " + id) }
func (p *pods) RemovePodSandbox(_ context.Context, id string) error { return p.do("remove " + id) }

func TestPodsOfTheUsersRuntimeAreRemoved(t *testing.T) {
	p := &pods{}
	if err := removeSandboxes(t.Context(), p); err != nil || !slices.Equal(p.did, []string{"list", "stop 1", "remove 1", "stop 2", "remove 2"}) {
		t.Errorf("did %q, %v", p.did, err)
	}
	for what, want := range map[string]string{"list": "list pods", "stop 2": "stop pod ns/pod", "remove 1": "remove pod ns/pod"} {
		if err := removeSandboxes(t.Context(), &pods{fails: what}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func TestOwnRuntimeIsNotAsked(t *testing.T) {
	if err := removePods(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if err := removePods(t.Context(), "unix://"+filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no error where nothing answers")
	}
}
