package coredns

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
	kyaml "sigs.k8s.io/yaml"

	"k8sbuild.dev/distribution/pkg/addons"
	"k8sbuild.dev/distribution/pkg/config"
)

// rendered are the objects by kind and name.
func rendered(t *testing.T, cfg *config.Config) map[string]map[string]any {
	t.Helper()
	text, err := Render(cfg)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string]any{}
	for documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return found
		}
		var o map[string]any
		if err := errors.Join(err, kyaml.UnmarshalStrict(document, &o)); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		found[o["kind"].(string)+"/"+o["metadata"].(map[string]any)["name"].(string)] = o
	}
}

func at(o any, keys ...string) any {
	for _, key := range keys {
		o = o.(map[string]any)[key]
	}
	return o
}

func TestManifestIsOfTheCluster(t *testing.T) {
	for _, tc := range []struct{ address, family, domain string }{
		{"10.43.0.10", "IPv4", "cluster.local"}, {"fd00::a", "IPv6", "acme.internal"},
	} {
		objects := rendered(t, &config.Config{ClusterDNS: tc.address, ClusterDomain: tc.domain})
		service := objects["Service/kube-dns"]
		if at(service, "spec", "clusterIP") != tc.address || at(service, "spec", "ipFamilies").([]any)[0] != tc.family {
			t.Errorf("the service is %v", service)
		}
		corefile := at(objects["ConfigMap/coredns"], "data", "Corefile").(string)
		if !strings.Contains(corefile, "kubernetes "+tc.domain+" in-addr.arpa ip6.arpa {") {
			t.Errorf("the Corefile is %s", corefile)
		}
		pod := at(objects["Deployment/coredns"], "spec", "template", "spec")
		container := at(pod, "containers").([]any)[0]
		if at(container, "image") != image || !strings.HasPrefix(image, "registry.k8s.io/coredns/coredns:v") {
			t.Errorf("the image is %v", at(container, "image"))
		}
	}
}

func TestWrongAddressIsNamed(t *testing.T) {
	if _, err := Render(&config.Config{ClusterDNS: "x"}); err == nil || !strings.HasPrefix(err.Error(), "--cluster-dns: ") {
		t.Errorf("got %v", err)
	}
}

func TestIsAnAddon(t *testing.T) {
	Register()
	enabled, err := addons.Enabled(&config.Config{})
	if err != nil || len(enabled) != 1 || enabled[0].Name != Name {
		t.Errorf("got %v, %v", enabled, err)
	}
}
