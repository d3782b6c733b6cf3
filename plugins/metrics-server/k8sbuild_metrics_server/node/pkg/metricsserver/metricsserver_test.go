package metricsserver

import (
	"strings"
	"testing"

	"k8sbuild.dev/distribution/pkg/addons"
	"k8sbuild.dev/distribution/pkg/addons/addonstest"
	"k8sbuild.dev/distribution/pkg/config"
)

func TestManifestBelongsTogether(t *testing.T) {
	objects := addonstest.Objects(t, addon, config.Default())
	container := addonstest.Container(objects["Deployment/metrics-server"])
	if container["image"] != image || !strings.HasPrefix(image, "registry.k8s.io/metrics-server/metrics-server:v") {
		t.Errorf("the image is %v", container["image"])
	}
	service := addonstest.At(objects["APIService/v1beta1.metrics.k8s.io"], "spec", "service").(map[string]any)
	if objects["Service/"+service["name"].(string)] == nil {
		t.Errorf("the API is served by %v, which is not there", service)
	}
	account := addonstest.At(objects["Deployment/metrics-server"], "spec", "template", "spec", "serviceAccountName")
	for name, o := range objects {
		if !strings.Contains(name, "Binding/") {
			continue
		}
		if subject := o["subjects"].([]any)[0]; addonstest.At(subject, "name") != account {
			t.Errorf("%s is for %v, not %v", name, subject, account)
		}
	}
}

func TestIsAnAddon(t *testing.T) {
	Register()
	if enabled := addons.Enabled(config.Default()); len(enabled) != 1 || enabled[0].Name != Name {
		t.Errorf("got %v", enabled)
	}
}
