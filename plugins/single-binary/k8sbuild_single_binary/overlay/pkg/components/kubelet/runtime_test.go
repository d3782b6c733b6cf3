package kubelet

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/component-base/featuregate"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/host"
	"k8sbuild.dev/distribution/pkg/kubeconfig"
	"k8sbuild.dev/distribution/pkg/nodeidentity"
)

// containerd is a runtime that only describes itself.
type containerd struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	config string
}

func (*containerd) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{Version: "0.1.0", RuntimeApiVersion: "v1"}, nil
}

func (c *containerd) Status(context.Context, *runtimeapi.StatusRequest) (*runtimeapi.StatusResponse, error) {
	return &runtimeapi.StatusResponse{
		Status: &runtimeapi.RuntimeStatus{Conditions: []*runtimeapi.RuntimeCondition{
			{Type: "RuntimeReady", Status: true}, {Type: "NetworkReady", Status: true},
		}},
		Info: map[string]string{"config": c.config},
	}, nil
}

func (c *containerd) serve(t *testing.T) (endpoint string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	runtimeapi.RegisterRuntimeServiceServer(s, c)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return "unix://" + path
}

// described as containerd 1.6 does it, shortened.
const withSystemd = `{"containerd":{"defaultRuntimeName":"runc","runtimes":{"runc":{"runtimeType":"io.containerd.runc.v2","options":{"SystemdCgroup":true}}}}}`

func TestCgroupDriverIsTheRuntimes(t *testing.T) {
	for config, want := range map[string]string{
		withSystemd: systemd,
		`{"containerd":{"defaultRuntimeName":"runc","runtimes":{"runc":{"options":{"SystemdCgroup":false}}}}}`: cgroupfs,
		`{"containerd":{"defaultRuntimeName":"runc","runtimes":{"runc":{}}}}`:                                  cgroupfs,
		`{"containerd":{"defaultRuntimeName":"runc"}}`:                                                         usual(host.MachineCgroups().Unified(), "/run/systemd/system"),
		``: usual(host.MachineCgroups().Unified(), "/run/systemd/system"),
	} {
		got, err := cgroupDriver(t.Context(), (&containerd{config: config}).serve(t))
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", config, got, err, want)
		}
	}
	if _, err := cgroupDriver(t.Context(), "nonsense://a"); err == nil {
		t.Error("no error for a wrong address")
	}
}

func TestUsualCgroupDriver(t *testing.T) {
	for _, tc := range []struct {
		unified bool
		runs    string
		want    string
	}{
		{true, t.TempDir(), systemd}, {false, t.TempDir(), cgroupfs}, {true, "/nonexistent", cgroupfs},
	} {
		if got := usual(tc.unified, tc.runs); got != tc.want {
			t.Errorf("%+v: got %s", tc, got)
		}
	}
}

func TestRunStartsWithWhatWasFoundOut(t *testing.T) {
	cfg, s := identified(t, nodeidentity.NodeUser("node"), time.Hour)
	if err := kubeconfig.EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	endpoint := (&containerd{config: withSystemd}).serve(t)
	cfg.RuntimeEndpoint = func() string { return endpoint }
	started := errors.New("started")
	err := run(t.Context(), cfg, s, func(_ context.Context, s *options.KubeletServer, deps *kubelet.Dependencies, _ featuregate.FeatureGate) error {
		if s.ContainerRuntimeEndpoint != endpoint || s.CgroupDriver != systemd || deps.TLSOptions == nil {
			t.Errorf("got %+v with %+v", s, deps)
		}
		return started
	})
	if !errors.Is(err, started) {
		t.Errorf("got %v", err)
	}
}

func TestReadinessIsOfThisStart(t *testing.T) {
	began := time.Now()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}
	if isReady(node, began) {
		t.Error("ready without a condition")
	}
	node.Status.Conditions = []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.NewTime(began.Add(-time.Minute))},
	}
	if isReady(node, began) {
		t.Error("takes what an earlier start said")
	}
	node.Status.Conditions[0].LastHeartbeatTime = metav1.NewTime(began.Truncate(time.Second))
	if !isReady(node, began) {
		t.Error("not ready")
	}
	reportReady(t.Context(), fake.NewSimpleClientset(node), &config.Config{NodeName: "node"}, began)
	reportReady(over(t), fake.NewSimpleClientset(), &config.Config{NodeName: "node"}, began)
}
