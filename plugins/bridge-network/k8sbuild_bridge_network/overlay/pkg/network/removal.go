package network

import (
	"slices"
	"strings"

	"k8sbuild.dev/distribution/pkg/cleanup"
)

// hostports are the chains in which CNI's plugin portmap has a rule for each pod
// with ports of the host, of all networks on this machine.
var hostports = []string{"CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ"}

// ofOurPods is what that plugin says of its rules.
const ofOurPods = `"dnat name: \"` + cniName + `\" id: `

// goneChains are our own, those of our pods' ports, and where other networks
// have no such pods, the ones that lead to these.
func goneChains(table []string) (gone []string) {
	others := false
	for _, line := range table {
		from, to := cleanup.Ends(line)
		switch {
		case from != hostports[0]:
		case strings.Contains(line, ofOurPods):
			gone = append(gone, to)
		default:
			others = true
		}
	}
	return append(gone, cleanup.ByName(func(name string) bool {
		ours := name == string(natChain) || name == string(filterChain)
		return ours || !others && slices.Contains(hostports, name)
	})(table)...)
}
