package kubelet

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
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
}
