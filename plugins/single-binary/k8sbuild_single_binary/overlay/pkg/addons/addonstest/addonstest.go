// Package addonstest looks at what add-ons make, for their tests.
package addonstest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
	kyaml "sigs.k8s.io/yaml"

	"k8sbuild.dev/distribution/pkg/addons"
	"k8sbuild.dev/distribution/pkg/config"
)

// Objects are those that an add-on makes for a configuration, by kind and name:
// "Service/kube-dns".
func Objects(t *testing.T, a addons.Addon, cfg *config.Config) map[string]map[string]any {
	t.Helper()
	text, err := a.Render(cfg)
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
		name := o["kind"].(string) + "/" + At(o, "metadata", "name").(string)
		if found[name] != nil {
			t.Fatalf("%s is there twice", name)
		}
		found[name] = o
	}
}

// At is the value below some keys.
func At(o any, keys ...string) any {
	for _, key := range keys {
		o = o.(map[string]any)[key]
	}
	return o
}

// Container is the only one of a Deployment's pods.
func Container(o any) map[string]any {
	return At(o, "spec", "template", "spec", "containers").([]any)[0].(map[string]any)
}
