package kubeletconfig

import (
	"strings"
	"testing"
)

const base = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
readOnlyPort: 0
authentication:
  anonymous:
    enabled: true
  webhook:
    enabled: false
authorization:
  mode: AlwaysAllow
evictionHard:
  nodefs.available: 0%
clusterDNS: [10.96.0.10]
`

const head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"

func merge(text string, exposed bool) (string, error) {
	files := []File{{Name: "base.yaml", Data: []byte(base)}}
	if text != "" {
		files = append(files, File{Name: "own.yaml", Data: []byte(text)})
	}
	merged, err := Merge(files, exposed)
	return string(merged), err
}

func TestTheSecondFileIsOverTheFirst(t *testing.T) {
	merged, err := merge(head+"maxPods: 7\nevictionHard:\n  imagefs.available: 1%\nclusterDNS: [10.0.0.1]\n", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"maxPods: 7", "nodefs.available: 0%", "imagefs.available: 1%", "clusterDNS: [10.0.0.1]"} {
		if !strings.Contains(merged, line) {
			t.Errorf("no %q in %s", line, merged)
		}
	}
}

func TestOneFileIsEnough(t *testing.T) {
	merged, err := merge("", false)
	if err != nil || merged == "" {
		t.Fatal(merged, err)
	}
}

func TestWhatIsWrongIsNamedWithItsLine(t *testing.T) {
	exposed := "address: 0.0.0.0\nauthentication:\n  x509:\n    clientCAFile: /ca\n  anonymous:\n    enabled: "
	for name, test := range map[string]struct {
		text    string
		exposed bool
		said    string
	}{
		"unknown field":        {head + "maxPods: 1\nmaxPod: 7\n", false, `own.yaml:4: strict decoding error: unknown field "maxPod"`},
		"unknown inner field":  {head + "authentication:\n  anonymos: {}\n", false, "own.yaml:4: "},
		"ill-typed":            {head + "maxPods: many\n", false, "own.yaml:3: "},
		"ill-typed inside":     {head + "authentication:\n  anonymous:\n    enabled: 7\n", false, "own.yaml:5: "},
		"twice":                {head + "maxPods: 1\nmaxPods: 2\n", false, "own.yaml"},
		"refused by kubelet":   {head + "maxPods: 1\nmaxPods: -1\n", false, "own.yaml"},
		"invalid":              {head + "imageGCHighThresholdPercent: 120\n", false, "own.yaml:3: "},
		"another kind":         {"apiVersion: v1\nkind: Pod\n", false, "own.yaml: "},
		"no mapping":           {"- a\n", false, "own.yaml:1: no mapping"},
		"no YAML":              {"a: [\n", false, "own.yaml: "},
		"reachable by others":  {head + "address: 0.0.0.0\n", false, "own.yaml:3: address: 0.0.0.0: "},
		"answers everybody":    {head + "readOnlyPort: 10255\n", false, "own.yaml:3: readOnlyPort: "},
		"exposed, anonymous":   {head + exposed + "true\n", true, "own.yaml:8: authentication.anonymous.enabled: "},
		"exposed, nobody else": {head + "authentication:\n  anonymous:\n    enabled: false\n", true, "authentication.x509.clientCAFile: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := merge(test.text, test.exposed)
			if err == nil || !strings.HasPrefix(err.Error(), test.said) && !strings.Contains(err.Error(), test.said) {
				t.Fatalf("want %q, got %v", test.said, err)
			}
		})
	}
	if _, err := merge(head+exposed+"false\n", true); err != nil {
		t.Fatal(err)
	}
}

func TestAStaticPodIsAPod(t *testing.T) {
	for name, test := range map[string]struct{ text, said string }{
		"a pod":         {"apiVersion: v1\nkind: Pod\nspec:\n  initContainers: [{name: a, image: i}]\n  containers: [{name: b, image: j}]\n", ""},
		"a config map":  {"apiVersion: v1\nkind: ConfigMap\n", "pod.yaml:2: a static pod must be a Pod, not a ConfigMap"},
		"unknown field": {"apiVersion: v1\nkind: Pod\nspec:\n  container: []\n", "pod.yaml:4: "},
		"no container":  {"apiVersion: v1\nkind: Pod\nspec: {}\n", "pod.yaml:3: no container"},
		"no spec":       {"apiVersion: v1\nkind: Pod\n", "pod.yaml:1: no container"},
		"unknown kind":  {"apiVersion: v2\nkind: Pod\n", "pod.yaml"},
		"no YAML":       {"{", "pod.yaml: "},
	} {
		t.Run(name, func(t *testing.T) {
			images, err := PodImages(File{Name: "pod.yaml", Data: []byte(test.text)})
			if test.said == "" {
				if err != nil || strings.Join(images, " ") != "i j" {
					t.Fatal(images, err)
				}
			} else if err == nil || !strings.HasPrefix(err.Error(), test.said) {
				t.Fatalf("want %q, got %v", test.said, err)
			}
		})
	}
}
