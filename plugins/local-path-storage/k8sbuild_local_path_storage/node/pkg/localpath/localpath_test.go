package localpath

import (
	"encoding/json"
	"strings"
	"testing"

	kyaml "sigs.k8s.io/yaml"

	"k8sbuild.dev/distribution/pkg/addons"
	"k8sbuild.dev/distribution/pkg/addons/addonstest"
	"k8sbuild.dev/distribution/pkg/config"
)

func TestVolumesAreInTheDataDirectory(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir = `/srv/k8s "1"`
	objects := addonstest.Objects(t, addon, cfg)
	data := addonstest.At(objects["ConfigMap/local-path-config"], "data").(map[string]any)
	var settings struct {
		NodePathMap []struct {
			Paths []string `json:"paths"`
		} `json:"nodePathMap"`
	}
	if err := json.Unmarshal([]byte(data["config.json"].(string)), &settings); err != nil {
		t.Fatal(err)
	}
	if got := settings.NodePathMap[0].Paths[0]; got != `/srv/k8s "1"/storage` {
		t.Errorf("volumes are in %s", got)
	}
}

// The provisioner and the pods that it makes run from the one image there is.
func TestOneImage(t *testing.T) {
	objects := addonstest.Objects(t, addon, config.Default())
	data := addonstest.At(objects["ConfigMap/local-path-config"], "data").(map[string]any)
	var pod map[string]any
	if err := kyaml.UnmarshalStrict([]byte(data["helperPod.yaml"].(string)), &pod); err != nil {
		t.Fatal(err)
	}
	containers := []any{addonstest.Container(objects["Deployment/local-path-provisioner"]), addonstest.At(pod, "spec", "containers").([]any)[0]}
	for _, c := range containers {
		if got := addonstest.At(c, "image"); got != image || !strings.Contains(image, "/local-path-provisioner:v") {
			t.Errorf("the image is %v", got)
		}
	}
	class := objects["StorageClass/local-path"]
	if class["provisioner"] != "rancher.io/local-path" || class["volumeBindingMode"] != "WaitForFirstConsumer" {
		t.Errorf("got %v", class)
	}
}

func TestIsAnAddon(t *testing.T) {
	Register()
	if enabled := addons.Enabled(config.Default()); len(enabled) != 1 || enabled[0].Name != Name {
		t.Errorf("got %v", enabled)
	}
}
