package addonstest

import (
	"testing"

	"k8sbuild.dev/distribution/pkg/addons"
	"k8sbuild.dev/distribution/pkg/config"
)

func TestObjects(t *testing.T) {
	const text = `
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: one}]}}}
---
kind: Service
metadata: {name: web}
`
	a := addons.Addon{Name: "web", Render: func(*config.Config) ([]byte, error) { return []byte(text), nil }}
	objects := Objects(t, a, config.Default())
	if len(objects) != 2 || Container(objects["Deployment/web"])["name"] != "one" {
		t.Errorf("got %v", objects)
	}
}
