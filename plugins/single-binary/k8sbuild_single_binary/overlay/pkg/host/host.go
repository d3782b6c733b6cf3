// Package host prepares the machine for a node: control groups, the order in
// which the kernel ends processes when memory runs out, name servers.
//
// It imports no Kubernetes package.
package host

import (
	"errors"
	"fmt"
)

// ErrNotRoot says that a node needs what only root may do.
var ErrNotRoot = errors.New("a node needs root: run k8s as root, or give --disable-agent for a server without a node")

// Prepare makes this process fit to run a node, and returns what there is to
// say about it.
func Prepare(cgroups Cgroups, oomFile string) (remarks []string, err error) {
	remarks, err = cgroups.Prepare()
	if err != nil {
		return remarks, err
	}
	score, forbidden, err := SetOOMScoreAdj(oomFile)
	if forbidden {
		remarks = append(remarks, fmt.Sprintf(
			"this machine forbids oom_score_adj %d (no CAP_SYS_RESOURCE): it stays %d, and the container runtime must "+
				"restrict what it asks for (containerd: restrict_oom_score_adj = true), or no pod starts", OOMScoreAdj, score))
	}
	return remarks, err
}
