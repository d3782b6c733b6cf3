package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
)

// protocol marks our routes: whatever has another number is somebody else's.
const protocol = 107

// route leads to the pods of another node.
type route struct {
	node string
	to   netip.Prefix
	via  netip.Addr
}

// podRanges are a node's ranges of pods.
func podRanges(node *corev1.Node) (ranges []netip.Prefix) {
	for _, text := range node.Spec.PodCIDRs {
		if p, err := netip.ParsePrefix(text); err == nil {
			ranges = append(ranges, p.Masked())
		}
	}
	return ranges
}

// routesTo lead to the pods of all nodes but our own, through the address of the
// same family that each node has in the cluster's network.
func routesTo(nodes []*corev1.Node, own string) (routes []route) {
	for _, node := range nodes {
		if node.Name == own {
			continue
		}
		for _, pods := range podRanges(node) {
			if via := internalIP(node, pods.Addr().Is4()); via.IsValid() {
				routes = append(routes, route{node.Name, pods, via})
			}
		}
	}
	return routes
}

func internalIP(node *corev1.Node, v4 bool) netip.Addr {
	for _, a := range node.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && a.Type == corev1.NodeInternalIP && ip.Is4() == v4 {
			return ip
		}
	}
	return netip.Addr{}
}

// setRoutes adds the routes that are missing and removes those of ours that are
// not wanted. It tries all, and its error names those that could not be.
func setRoutes(want []route) error {
	have, err := ourRoutes()
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range have {
		if !slices.ContainsFunc(want, func(w route) bool { return w.is(r) }) {
			errs = append(errs, named(r, netlink.RouteDel(&r)))
		}
	}
	for _, w := range want {
		if slices.ContainsFunc(have, w.is) {
			continue
		}
		err := netlink.RouteReplace(&netlink.Route{Dst: ipNet(w.to), Gw: w.via.AsSlice(), Protocol: protocol})
		if err != nil {
			errs = append(errs, fmt.Errorf("node %s has the address %s, which is not in a network of this machine: %w", w.node, w.via, err))
		}
	}
	return errors.Join(errs...)
}

func (r route) is(n netlink.Route) bool {
	return n.Dst != nil && n.Dst.String() == r.to.String() && n.Gw.Equal(r.via.AsSlice())
}

func ourRoutes() ([]netlink.Route, error) {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Protocol: protocol}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return routes, nil
}

func named(r netlink.Route, err error) error {
	if err != nil {
		return fmt.Errorf("remove the route to %s: %w", r.Dst, err)
	}
	return nil
}
