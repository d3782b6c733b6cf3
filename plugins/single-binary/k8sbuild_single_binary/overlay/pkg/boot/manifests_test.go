package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	widgets = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`
	widget = "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: one, namespace: shop}\nspec: {size: 3}\n"
	shop   = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
	shared = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\ndata: {ours: a, gone: b}\n"
)

// TestManifests holds the files of the manifests directory against a real API
// server: what is applied, edited and removed, while it runs and while it does not.
func TestManifests(t *testing.T) {
	b := prepare(t, filepath.Join(t.TempDir(), "data"))
	dir := filepath.Join(b.dir, "manifests")
	put := func(name string, documents ...string) {
		t.Helper()
		write(t, filepath.Join(dir, name), strings.Join(documents, "---\n"))
	}
	said := func(line string) func() bool { return func() bool { return strings.Contains(b.text(), line) } }
	// There before the first start; what is needed first stands last.
	put("shop.yaml", widget, shop, widgets)
	b.start()
	b.waitFor(said(`"Applied" manifest="shop.yaml" object="Widget shop/one"`), "object of a kind that is defined with it")
	if strings.Contains(b.text(), "Manifest cannot be applied") {
		t.Error("a kind that is defined in the same file is an error at first")
	}
	put("shared.yaml", shared)
	b.waitFor(said("ConfigMap default/shared"), "file that comes")
	b.kubectl("patch", "configmap", "shared", "--type=merge", `-p={"data":{"theirs":"c"}}`)
	put("shared.yaml", strings.Replace(shared, ", gone: b", "", 1))
	b.waitFor(func() bool {
		return b.kubectl("get", "configmap", "shared", "-o=jsonpath={.data}") == `{"ours":"a","theirs":"c"}`
	}, "edited file, with what others added")
	put("bad.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad}\n")
	b.waitFor(func() bool {
		return strings.Contains(b.kubectl("-n", "kube-system", "get", "events"), "bad.yaml: document 1 (Deployment default/bad): Deployment.apps")
	}, "event of what is refused")
	b.stop()
	for _, name := range []string{"shop.yaml", "bad.yaml"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	b.start()
	b.waitFor(said(`"Removed" manifest="shop.yaml" object="CustomResourceDefinition widgets.example.org"`), "removal at the next start")
	if got := b.kubectl("get", "configmap", "shared", "-o=jsonpath={.data.ours}"); got != "a" {
		t.Errorf("the other file's object has %q", got)
	}
	b.stop()
}
