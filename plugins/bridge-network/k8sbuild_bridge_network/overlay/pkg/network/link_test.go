package network

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

func addressesOf(t *testing.T, name string) (texts []string) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	must(t, err)
	addresses, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	must(t, err)
	for _, a := range addresses {
		if !a.IP.IsLinkLocalUnicast() {
			texts = append(texts, a.IPNet.String())
		}
	}
	return texts
}

func TestLinkHasTheGatewaysOfTheRangesAndNoOthers(t *testing.T) {
	ownNetwork(t)
	for _, tc := range []struct {
		pods []netip.Prefix
		mtu  int
		want []string
	}{
		{prefixes("10.42.0.0/24", "fd00:42::/64"), 1500, []string{"10.42.0.1/24", "fd00:42::1/64"}},
		{prefixes("10.42.0.0/24", "fd00:42::/64"), 1500, []string{"10.42.0.1/24", "fd00:42::1/64"}},
		{prefixes("10.42.7.0/24"), 1400, []string{"10.42.7.1/24"}},
	} {
		must(t, ensureLink(tc.pods, tc.mtu))
		if got := addressesOf(t, linkName); !slices.Equal(got, tc.want) {
			t.Errorf("%v: got %v", tc.pods, got)
		}
		link, err := netlink.LinkByName(linkName)
		must(t, err)
		if link.Attrs().MTU != tc.mtu {
			t.Errorf("the MTU is %d", link.Attrs().MTU)
		}
	}
}

func TestLinkOfSomebodyElseIsLeftAlone(t *testing.T) {
	ownNetwork(t)
	other := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: linkName}, PeerName: "peer"}
	must(t, netlink.LinkAdd(other))
	defer func() { _ = netlink.LinkDel(other) }()
	if err := ensureLink(prefixes("10.42.0.0/24"), 1500); err == nil || !strings.Contains(err.Error(), "of type veth") {
		t.Errorf("got %v", err)
	}
	must(t, removeLink())
	if _, err := netlink.LinkByName(linkName); err != nil {
		t.Errorf("removed: %v", err)
	}
}

func TestLinkGoesWithThePodsThatArePluggedIn(t *testing.T) {
	ownNetwork(t)
	must(t, ensureLink(prefixes("10.42.0.0/24"), 1500))
	bridge, err := netlink.LinkByName(linkName)
	must(t, err)
	for name, master := range map[string]int{"pod": bridge.Attrs().Index, "other": 0} {
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, MasterIndex: master}, PeerName: name + "-peer"}
		must(t, netlink.LinkAdd(veth))
		t.Cleanup(func() { _ = netlink.LinkDel(veth) })
	}
	must(t, removeLink())
	must(t, removeLink())
	for name, want := range map[string]bool{linkName: false, "pod": false, "other": true} {
		if _, err := netlink.LinkByName(name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMTUIsThatOfTheNodesNetwork(t *testing.T) {
	ownNetwork(t)
	for address, want := range map[string]int{"192.0.2.7": 1400, "2001:db8::7": 1400, "192.0.2.8": 1500} {
		if got := mtuOf(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: got %d", address, got)
		}
	}
}

func TestAnEndThatGoesMeanwhileIsNoError(t *testing.T) {
	ownNetwork(t)
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "end0"}, PeerName: "end1"}))
	end, err := netlink.LinkByName("end0")
	must(t, err)
	must(t, unplug(end))
	must(t, unplug(end))
}
