package coredns

import (
	"strings"
	"testing"

	"k8sbuild.dev/distribution/pkg/addons"
	"k8sbuild.dev/distribution/pkg/addons/addonstest"
	"k8sbuild.dev/distribution/pkg/config"
)

func TestManifestIsOfTheCluster(t *testing.T) {
	for _, tc := range []struct{ address, family, domain string }{
		{"10.43.0.10", "IPv4", "cluster.local"}, {"fd00::a", "IPv6", "acme.internal"},
	} {
		objects := addonstest.Objects(t, addon, &config.Config{ClusterDNS: tc.address, ClusterDomain: tc.domain})
		service := objects["Service/kube-dns"]
		if addonstest.At(service, "spec", "clusterIP") != tc.address || addonstest.At(service, "spec", "ipFamilies").([]any)[0] != tc.family {
			t.Errorf("the service is %v", service)
		}
		corefile := addonstest.At(objects["ConfigMap/coredns"], "data", "Corefile").(string)
		if !strings.Contains(corefile, "kubernetes "+tc.domain+" in-addr.arpa ip6.arpa {") {
			t.Errorf("the Corefile is %s", corefile)
		}
		container := addonstest.Container(objects["Deployment/coredns"])
		if container["image"] != image || !strings.HasPrefix(image, "registry.k8s.io/coredns/coredns:v") {
			t.Errorf("the image is %v", container["image"])
		}
	}
}

func TestWrongAddressIsNamed(t *testing.T) {
	if _, err := render(&config.Config{ClusterDNS: "x"}); err == nil || !strings.HasPrefix(err.Error(), "--cluster-dns: ") {
		t.Errorf("got %v", err)
	}
}

func TestIsAnAddon(t *testing.T) {
	Register()
	if enabled := addons.Enabled(&config.Config{}); len(enabled) != 1 || enabled[0].Name != Name {
		t.Errorf("got %v", enabled)
	}
}
