// Package coredns is the DNS of the cluster as an add-on: what runs CoreDNS
// from the image that the distribution ships.
package coredns

import (
	_ "embed"
	"fmt"
	"net/netip"

	"k8sbuild.dev/distribution/pkg/addons"
	"k8sbuild.dev/distribution/pkg/config"
)

// Name is what --disable calls the add-on.
const Name = "coredns"

//go:embed manifest.yaml.in
var manifest string

var addon = addons.Addon{Name: Name, Render: render}

// Register adds the add-on to the server.
func Register() { addons.Register(addon) }

// values are what the manifest says of this cluster.
type values struct {
	Image   string
	Domain  string
	Address string // of the service
	Family  string // of that address
}

// render makes the manifest for a cluster.
func render(cfg *config.Config) ([]byte, error) {
	address, err := netip.ParseAddr(cfg.ClusterDNS)
	if err != nil {
		return nil, fmt.Errorf("--cluster-dns: %w", err)
	}
	v := values{Image: image, Domain: cfg.ClusterDomain, Address: address.String(), Family: "IPv4"}
	if address.Is6() {
		v.Family = "IPv6"
	}
	return addons.Fill(manifest, v)
}
