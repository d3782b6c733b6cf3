package network

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/kubernetes/pkg/util/iptables"
)

// hostports are the chains in which CNI's plugin portmap has a rule for each pod
// with ports of the host, of all networks on this machine.
var hostports = []string{"CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ"}

// ofOurPods is what that plugin says of its rules.
const ofOurPods = `"dnat name: \"` + cniName + `\" id: `

// removal is what iptables-restore must be told to take our chains out of a
// table as iptables-save shows it, with the rules that lead there.
func removal(table iptables.Table, saved string) string {
	lines := strings.Split(saved, "\n")
	gone := goneChains(lines)
	if len(gone) == 0 {
		return ""
	}
	out := []string{"*" + string(table)}
	for _, chain := range gone {
		out = append(out, fmt.Sprintf(":%s - [0:0]", chain))
	}
	for _, line := range lines {
		from, to := ends(line)
		if slices.Contains(gone, to) && !slices.Contains(gone, from) {
			out = append(out, "-D"+strings.TrimPrefix(line, "-A"))
		}
	}
	for _, chain := range gone {
		out = append(out, "-X "+chain)
	}
	return strings.Join(append(out, "COMMIT"), "\n") + "\n"
}

// goneChains are our own, those of our pods' ports, and where other networks
// have no such pods, the ones that lead to these.
func goneChains(lines []string) (gone []string) {
	others := false
	for _, line := range lines {
		from, to := ends(line)
		switch {
		case from != hostports[0]:
		case strings.Contains(line, ofOurPods):
			gone = append(gone, to)
		default:
			others = true
		}
	}
	for _, line := range lines {
		name, is := strings.CutPrefix(line, ":")
		name, _, _ = strings.Cut(name, " ")
		ours := name == string(natChain) || name == string(filterChain)
		if is && (ours || !others && slices.Contains(hostports, name)) {
			gone = append(gone, name)
		}
	}
	return gone
}

// ends are the chains that a line's rule is in and jumps to.
func ends(line string) (from, to string) {
	words := strings.Fields(line)
	if len(words) < 2 || words[0] != "-A" {
		return "", ""
	}
	if at := slices.Index(words, "-j"); at > 0 && at+1 < len(words) {
		to = words[at+1]
	}
	return words[1], to
}
