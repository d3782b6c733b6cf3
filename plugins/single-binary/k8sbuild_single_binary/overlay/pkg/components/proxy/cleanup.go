package proxy

import (
	"context"
	"errors"
	"strings"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/config"
)

// table is that of kube-proxy's mode nftables.
const table = "kube-proxy"

// clean removes the chains that kube-proxy and the kubelet make. Their names
// begin alike.
func clean(ctx context.Context, _ *config.Config) error {
	_, chains := cleanup.RemoveChains(ctx, cleanup.ByName(isChain))
	_, tables := cleanup.RemoveTable(ctx, table, "ip", "ip6")
	return errors.Join(chains, tables)
}

func isChain(name string) bool { return strings.HasPrefix(name, "KUBE-") }
