package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"

	"k8s.io/apimachinery/pkg/labels"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/durable"
)

// prepare does what needs no node.
func (n *network) prepare(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(n.kernel.root, bridged4)); err != nil {
		// Where there are no modules, ensure has something to say.
		_ = exec.CommandContext(ctx, "modprobe", "br_netfilter").Run()
	}
	if err := n.kernel.keep(proxied...); err != nil {
		return err
	}
	remarks, err := n.kernel.ensure(n.cluster)
	for _, remark := range remarks {
		klog.InfoS("The pods' network lacks something", "what", remark)
	}
	if err != nil {
		return err
	}
	return ensureRules(n.cluster, n.tables)
}

// guard puts right what firewalls and administrators change under running pods.
func (n *network) guard() error {
	_, err := n.kernel.ensure(n.cluster)
	return errors.Join(err, ensureRules(n.cluster, n.tables))
}

// connect makes the network that the nodes describe.
func (n *network) connect(lister listers.NodeLister) error {
	nodes, err := lister.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	err = setRoutes(routesTo(nodes, n.node))
	own, missing := lister.Get(n.node)
	if missing != nil || len(podRanges(own)) == 0 {
		return err // not registered, or without a range yet
	}
	return errors.Join(n.plug(podRanges(own)), err)
}

// plug lets pods of the ranges be plugged in. The file comes last: it tells the
// container runtime, and through it the kubelet, that pods may start.
func (n *network) plug(pods []netip.Prefix) error {
	mtu := mtuOf(n.address)
	if err := ensureLink(pods, mtu); err != nil {
		return err
	}
	if err := n.kernel.guard(); err != nil {
		return err
	}
	text, err := conflist(pods, mtu, n.ipam)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(n.file); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(n.file), 0o755); err != nil {
		return fmt.Errorf("make the folder of the CNI configuration: %w", err)
	}
	if err := durable.Write(n.file, text, 0o644); err != nil {
		return err
	}
	klog.InfoS("Pods of this node have addresses", "ranges", pods, "mtu", mtu)
	return nil
}
