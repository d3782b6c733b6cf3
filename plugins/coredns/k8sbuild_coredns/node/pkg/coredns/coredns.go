// Package coredns is the DNS of the cluster as an add-on: what runs CoreDNS
// from the image that the distribution ships.
package coredns

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/netip"
	"text/template"

	"k8sbuild.dev/distribution/pkg/addons"
	"k8sbuild.dev/distribution/pkg/config"
)

// Name is what --disable calls the add-on.
const Name = "coredns"

//go:embed manifest.yaml.in
var manifest string

// Register adds the add-on to the server.
func Register() { addons.Register(addons.Addon{Name: Name, Render: Render}) }

// values are what the manifest says of this cluster.
type values struct {
	Image   string
	Domain  string
	Address string // of the service
	Family  string // of that address
}

// Render makes the manifest for a cluster.
func Render(cfg *config.Config) ([]byte, error) {
	address, err := netip.ParseAddr(cfg.ClusterDNS)
	if err != nil {
		return nil, fmt.Errorf("--cluster-dns: %w", err)
	}
	v := values{Image: image, Domain: cfg.ClusterDomain, Address: address.String(), Family: "IPv4"}
	if address.Is6() {
		v.Family = "IPv6"
	}
	parsed, err := template.New("manifest").Option("missingkey=error").Parse(manifest)
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, v); err != nil {
		return nil, fmt.Errorf("render the manifest: %w", err)
	}
	return text.Bytes(), nil
}
