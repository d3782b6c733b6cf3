package network

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"

	"k8sbuild.dev/distribution/pkg/config"
)

const (
	// cniName is the network's name in what CNI keeps about pods.
	cniName = "k8s"
	// linkName is the bridge that pods are plugged into.
	linkName = "k8s0"
)

// cniFile is read by the container runtime after what a user puts beside it.
func cniFile(cfg *config.Config) string { return cfg.Path("cni", "net.d", "90-k8s.conflist") }

// ipamDir is where host-local keeps which pod has which address.
func ipamDir(cfg *config.Config) string { return cfg.Path("cni", "addresses") }

type object = map[string]any

// conflist is the CNI configuration of a node whose pods get addresses of the
// ranges. The plugin's own masquerading would hide a pod's address from those of
// other nodes.
func conflist(pods []netip.Prefix, mtu int, ipam string) ([]byte, error) {
	var ranges [][]object
	for _, p := range pods {
		ranges = append(ranges, []object{{"subnet": p.String(), "gateway": gateway(p).Addr().String()}})
	}
	text, err := json.MarshalIndent(object{
		"cniVersion": "1.0.0",
		"name":       cniName,
		"plugins": []object{
			{
				"type": "bridge", "bridge": linkName, "mtu": mtu,
				"isDefaultGateway": true, "hairpinMode": true, "ipMasq": false,
				"ipam": object{"type": "host-local", "dataDir": filepath.Clean(ipam), "ranges": ranges},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the CNI configuration: %w", err)
	}
	return append(text, '\n'), nil
}

// gateway is the bridge's address in a range of pods, the first one.
func gateway(pods netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(pods.Masked().Addr().Next(), pods.Bits())
}
