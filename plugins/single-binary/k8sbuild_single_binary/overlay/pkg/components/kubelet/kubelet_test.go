package kubelet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/component-base/featuregate"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet"
	podresources "k8s.io/kubernetes/pkg/kubelet/apis/podresources"
	kubeletserver "k8s.io/kubernetes/pkg/kubelet/server"
	"k8s.io/kubernetes/pkg/volume/csi"
	volumetest "k8s.io/kubernetes/pkg/volume/testing"

	"k8sbuild.dev/distribution/pkg/config"
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
	s, err := New(config.Default())
	if err != nil || s.Name() != Name {
		t.Errorf("got %v, %v", s, err)
	}
	Register()
}

func TestRunGivesValidSettings(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	started := errors.New("started")
	err := run(t.Context(), cfg, func(_ context.Context, s *options.KubeletServer, deps *kubelet.Dependencies, _ featuregate.FeatureGate) error {
		if err := options.ValidateKubeletServer(s); err != nil {
			t.Error(err)
		}
		if deps == nil || deps.TLSOptions == nil || !strings.HasPrefix(s.CertDirectory, cfg.DataDir) {
			t.Errorf("got %+v with certificates in %s", deps, s.CertDirectory)
		}
		return started
	})
	if !errors.Is(err, started) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(cfg.DataDir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.DataDir = filepath.Join(cfg.DataDir, "file")
	if err := run(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), "make dependencies") {
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
