package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ensureLink makes the bridge with the gateways' addresses and none of former
// ranges: CNI refuses a bridge that has another address.
func ensureLink(pods []netip.Prefix, mtu int) error {
	link, err := theLink(mtu)
	if err != nil {
		return fmt.Errorf("make the bridge %s: %w", linkName, err)
	}
	if err := setAddresses(link, pods); err != nil {
		return fmt.Errorf("give the bridge %s its addresses: %w", linkName, err)
	}
	return nil
}

func theLink(mtu int) (netlink.Link, error) {
	link, err := netlink.LinkByName(linkName)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		link, err = addLink(mtu)
	}
	if err != nil {
		return nil, err
	}
	if link.Type() != "bridge" {
		return nil, fmt.Errorf("there is an interface of this name and of type %s", link.Type())
	}
	if link.Attrs().MTU != mtu {
		if err := netlink.LinkSetMTU(link, mtu); err != nil {
			return nil, err
		}
	}
	return link, netlink.LinkSetUp(link)
}

func addLink(mtu int) (netlink.Link, error) {
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MTU = linkName, mtu
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attributes}); err != nil {
		return nil, err
	}
	link, err := netlink.LinkByName(linkName)
	if err != nil {
		return nil, err
	}
	// Otherwise it is the lowest of the pods', and changes when they come and go.
	return link, netlink.LinkSetHardwareAddr(link, link.Attrs().HardwareAddr)
}

func setAddresses(link netlink.Link, pods []netip.Prefix) error {
	have, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	var want []string
	for _, p := range pods {
		address := ipNet(gateway(p))
		want = append(want, address.String())
		if slices.ContainsFunc(have, func(a netlink.Addr) bool { return a.IPNet.String() == address.String() }) {
			continue
		}
		// Duplicates cannot be found before there is a pod, and would be waited for.
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: address, Flags: unix.IFA_F_NODAD}); err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
	}
	for _, a := range have {
		if a.IP.IsLinkLocalUnicast() || slices.Contains(want, a.IPNet.String()) {
			continue
		}
		if err := netlink.AddrDel(link, &a); err != nil {
			return fmt.Errorf("remove %s: %w", a.IPNet, err)
		}
	}
	return nil
}

// removeLink removes the bridge and the host's ends of pods that are plugged in.
func removeLink() error {
	link, err := netlink.LinkByName(linkName)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil || link.Type() != "bridge" {
		return err
	}
	all, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range all {
		if l.Attrs().MasterIndex == link.Attrs().Index && l.Type() == "veth" {
			if err := unplug(l); err != nil {
				return err
			}
		}
	}
	return netlink.LinkDel(link)
}

// unplug removes the host's end of a pod, which may go with the pod meanwhile.
func unplug(link netlink.Link) error {
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove %s: %w", link.Attrs().Name, err)
	}
	return nil
}

// defaultMTU is Ethernet's.
const defaultMTU = 1500

// mtuOf is how large a packet may be on the network that has the address, which
// pods' packets go through as they are.
func mtuOf(address netip.Addr) int {
	links, err := netlink.LinkList()
	if err != nil {
		return defaultMTU
	}
	for _, link := range links {
		addresses, err := netlink.AddrList(link, netlink.FAMILY_ALL)
		if err == nil && slices.ContainsFunc(addresses, func(a netlink.Addr) bool { return a.IP.Equal(address.AsSlice()) }) {
			return link.Attrs().MTU
		}
	}
	return defaultMTU
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
