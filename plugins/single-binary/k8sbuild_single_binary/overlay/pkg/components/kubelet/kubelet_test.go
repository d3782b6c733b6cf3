package kubelet

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	podresources "k8s.io/kubernetes/pkg/kubelet/apis/podresources"
	kubeletserver "k8s.io/kubernetes/pkg/kubelet/server"
	"k8s.io/kubernetes/pkg/volume/csi"
	volumetest "k8s.io/kubernetes/pkg/volume/testing"

	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/host"
	"k8sbuild.dev/distribution/pkg/service"
)

func client() *fake.Clientset {
	return fake.NewSimpleClientset(
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}},
		&storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "node"}})
}

// In the server the controller manager sets its volume plugins up beside the
// kubelet's, in either order. What CSI drivers report is the kubelet's to write.
func TestCSINodeInfoBelongsToTheKubelet(t *testing.T) {
	ofKubelet, ofControllers := client(), client()
	volumetest.NewFakeKubeletVolumeHostWithCSINodeName(t, t.TempDir(), ofKubelet, csi.ProbeVolumePlugins(), "node", nil, nil)
	volumetest.NewFakeAttachDetachVolumeHostWithCSINodeName(t, t.TempDir(), ofControllers, csi.ProbeVolumePlugins(), "", nil, nil)
	ofControllers.ClearActions()
	csi.PluginHandler.DeRegisterPlugin("driver")
	if actions := ofControllers.Actions(); len(actions) > 0 {
		t.Errorf("written as the controllers: %v", actions)
	}
	for _, action := range ofKubelet.Actions() {
		if action.GetResource().Resource == "nodes" || action.GetResource().Resource == "csinodes" {
			return
		}
	}
	t.Error("the kubelet's client was not used")
}

func TestService(t *testing.T) {
	s, err := New(componenttest.Node(t))
	if err != nil || s.Name() != Name {
		t.Fatalf("got %v, %v", s, err)
	}
	if r := s.(*service.Runner); r.Abandon == 0 {
		t.Error("the stop waits for the kubelet")
	}
	if err := s.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "no serving certificate yet") {
		t.Errorf("got %v", err)
	}
	Register()
}

func TestSettings(t *testing.T) {
	cfg := componenttest.Node(t)
	cfg.NodeLabels, cfg.NodeTaints = []string{"a=b", "c="}, []string{"t=v:NoSchedule"}
	cfg.ExtraArgs[Name] = []string{"max-pods=7", "cgroup-driver=systemd"}
	s, err := settings(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s.Authentication.Anonymous.Enabled || !s.Authentication.Webhook.Enabled || s.ReadOnlyPort != 0 ||
		s.Authorization.Mode != kubeletconfig.KubeletAuthorizationModeWebhook || s.Authentication.X509.ClientCAFile == "" {
		t.Errorf("who may ask the kubelet: %+v, %+v", s.Authentication, s.Authorization)
	}
	if !s.RotateCertificates || !s.ServerTLSBootstrap || !strings.HasPrefix(s.CertDirectory, cfg.DataDir) {
		t.Errorf("certificates: %+v", s)
	}
	if s.FailSwapOn || len(s.EvictionHard) == 0 || len(s.ClusterDNS) != 1 {
		t.Errorf("got %+v", s.KubeletConfiguration)
	}
	if s.MaxPods != 7 || s.CgroupDriver != systemd || s.NodeLabels["a"] != "b" || len(s.RegisterWithTaints) != 1 {
		t.Errorf("what the user says: %+v", s)
	}
	if score, err := host.ReadOOMScoreAdj(host.OOMFile); err != nil || int(s.OOMScoreAdj) != score {
		t.Errorf("changes the process's score to %d, %v", s.OOMScoreAdj, err)
	}
}

func TestWrongArgumentsAreOneLine(t *testing.T) {
	for want, arg := range map[string]string{
		"unknown flag: --nonsense":  "nonsense",
		"invalid argument":          "max-pods=many",
		"maxPods":                   "max-pods=-1",
		"'kubernetes.io' or 'k8s.i": "node-labels=kubernetes.io/a=b",
	} {
		cfg := componenttest.Node(t)
		cfg.ExtraArgs[Name] = []string{arg}
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v", arg, err)
		}
	}
	if err := parse(&options.KubeletServer{}, []string{"word"}); err == nil || !strings.Contains(err.Error(), `"word" is no flag`) {
		t.Errorf("got %v", err)
	}
}

func TestRuntimeThatDoesNotAnswerIsNamed(t *testing.T) {
	cfg := componenttest.Node(t)
	s, err := settings(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = run(ctx, cfg, s, nil)
	if err == nil || !strings.Contains(err.Error(), "no answer from the container runtime at "+cfg.ContainerRuntimeEndpoint) {
		t.Errorf("got %v", err)
	}
}

// Upstream's own server ends its process when it cannot listen.
func TestExitOfTheKubeletIsAskedFor(t *testing.T) {
	asked := make(chan int, 1)
	old := klog.OsExit
	klog.OsExit = func(code int) {
		asked <- code
		select {}
	}
	defer func() { klog.OsExit = old }()
	go kubeletserver.ListenAndServePodResources("nonsense://", podresources.PodResourcesProviders{})
	if code := <-asked; code != 1 {
		t.Errorf("got %d", code)
	}
}
