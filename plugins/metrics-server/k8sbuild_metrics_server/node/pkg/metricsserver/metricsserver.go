// Package metricsserver is metrics-server as an add-on: what runs it from the
// image that the distribution ships, and makes it a part of the API.
package metricsserver

import (
	_ "embed"

	"k8sbuild.dev/distribution/pkg/addons"
	"k8sbuild.dev/distribution/pkg/config"
)

// Name is what --disable calls the add-on.
const Name = "metrics-server"

//go:embed manifest.yaml.in
var manifest string

var addon = addons.Addon{Name: Name, Render: render}

// Register adds the add-on to the server.
func Register() { addons.Register(addon) }

func render(*config.Config) ([]byte, error) {
	return addons.Fill(manifest, map[string]string{"Image": image})
}
