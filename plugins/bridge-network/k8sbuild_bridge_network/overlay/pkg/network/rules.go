package network

import (
	"fmt"
	"net/netip"
	"strings"

	"k8s.io/kubernetes/pkg/util/iptables"
	"k8s.io/utils/exec"
)

// Our chains. What the kernel jumps from is not ours, and has one rule of ours.
const (
	natChain    iptables.Chain = "K8S-POSTROUTING"
	filterChain iptables.Chain = "K8S-FORWARD"
)

// jump is the rule that leads to one of our chains.
type jump struct {
	table    iptables.Table
	from, to iptables.Chain
}

// jumps come last in their chains: what an administrator forbids before them
// stays forbidden.
var jumps = []jump{
	{iptables.TableNAT, iptables.ChainPostrouting, natChain},
	{iptables.TableFilter, iptables.ChainForward, filterChain},
}

func (j jump) rule() []string {
	return []string{"-m", "comment", "--comment", "pods of Kubernetes", "-j", string(j.to)}
}

// multicast addresses have no one machine that could answer to another source.
var multicast = map[bool]string{true: "224.0.0.0/4", false: "ff00::/8"}

// rulesOf are our chains with their rules, for iptables-restore: pods may be
// reached through this machine whatever it does with others' packets, and they
// leave the cluster, but not the node, under the node's address.
func rulesOf(cluster netip.Prefix, randomPorts bool) []byte {
	masquerade := "MASQUERADE"
	if randomPorts {
		// Otherwise the kernel may give two connections one port, and lose one.
		masquerade += " --random-fully"
	}
	lines := []string{
		"*nat",
		fmt.Sprintf(":%s - [0:0]", natChain),
		fmt.Sprintf("-A %s ! -s %s -j RETURN", natChain, cluster),
		fmt.Sprintf("-A %s -d %s -j RETURN", natChain, cluster),
		fmt.Sprintf("-A %s -d %s -j RETURN", natChain, multicast[cluster.Addr().Is4()]),
		fmt.Sprintf("-A %s -j %s", natChain, masquerade),
		"COMMIT",
		"*filter",
		fmt.Sprintf(":%s - [0:0]", filterChain),
		fmt.Sprintf("-A %s -s %s -j ACCEPT", filterChain, cluster),
		fmt.Sprintf("-A %s -d %s -j ACCEPT", filterChain, cluster),
		"COMMIT",
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

func protocolOf(p netip.Prefix) iptables.Protocol {
	if p.Addr().Is4() {
		return iptables.ProtocolIPv4
	}
	return iptables.ProtocolIPv6
}

// maker makes what speaks to the kernel; tests have another one.
type maker func(iptables.Protocol) iptables.Interface

func programs(p iptables.Protocol) iptables.Interface { return iptables.New(exec.New(), p) }

// ensureRules writes our chains anew, and jumps to them where that was lost.
func ensureRules(cluster []netip.Prefix, tables maker) error {
	for _, c := range cluster {
		t := tables(protocolOf(c))
		if err := t.RestoreAll(rulesOf(c, t.HasRandomFully()), iptables.NoFlushTables, iptables.NoRestoreCounters); err != nil {
			return fmt.Errorf("write %s rules: %w", t.Protocol(), err)
		}
		for _, j := range jumps {
			if _, err := t.EnsureRule(iptables.Append, j.table, j.from, j.rule()...); err != nil {
				return fmt.Errorf("lead from %s to %s (%s): %w", j.from, j.to, t.Protocol(), err)
			}
		}
	}
	return nil
}
