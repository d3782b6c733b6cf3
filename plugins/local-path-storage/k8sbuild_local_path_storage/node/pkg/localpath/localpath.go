// Package localpath is local-path-provisioner as an add-on: volumes that are
// folders of the node on which their first pod runs.
package localpath

import (
	_ "embed"
	"fmt"
	"path/filepath"

	"k8sbuild.dev/distribution/pkg/addons"
	"k8sbuild.dev/distribution/pkg/config"
)

// Name is what --disable calls the add-on.
const Name = "local-path-storage"

// folder of the data directory is where volumes are, on each node.
const folder = "storage"

//go:embed manifest.yaml.in
var manifest string

var addon = addons.Addon{Name: Name, Render: render}

// Register adds the add-on to the server.
func Register() { addons.Register(addon) }

func render(cfg *config.Config) ([]byte, error) {
	dir, err := filepath.Abs(cfg.Path(folder))
	if err != nil {
		return nil, fmt.Errorf("find the folder of volumes: %w", err)
	}
	return addons.Fill(manifest, map[string]string{"Image": image, "Folder": dir})
}
