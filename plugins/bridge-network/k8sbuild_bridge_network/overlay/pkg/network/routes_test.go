package network

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// node is one with ranges of pods and addresses.
func node(name string, pods []string, internal ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDRs: pods}}
	for _, address := range internal {
		n.Status.Addresses = append(n.Status.Addresses,
			corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: "198.51.100.1"},
			corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: address})
	}
	return n
}

func to(name, pods, via string) route {
	return route{name, netip.MustParsePrefix(pods), netip.MustParseAddr(via)}
}

func TestRoutesTo(t *testing.T) {
	for name, tc := range map[string]struct {
		nodes []*corev1.Node
		want  []route
	}{
		"our own":       {[]*corev1.Node{node("own", []string{"10.42.0.0/24"}, "192.0.2.7")}, nil},
		"another":       {[]*corev1.Node{node("b", []string{"10.42.1.0/24"}, "192.0.2.8")}, []route{to("b", "10.42.1.0/24", "192.0.2.8")}},
		"no range yet":  {[]*corev1.Node{node("b", nil, "192.0.2.8")}, nil},
		"no address":    {[]*corev1.Node{node("b", []string{"10.42.1.0/24"})}, nil},
		"a wrong range": {[]*corev1.Node{node("b", []string{"all"}, "192.0.2.8")}, nil},
		"host bits":     {[]*corev1.Node{node("b", []string{"10.42.1.7/24"}, "192.0.2.8")}, []route{to("b", "10.42.1.0/24", "192.0.2.8")}},
		"both families": {[]*corev1.Node{node("b", []string{"10.42.1.0/24", "fd00:42:1::/64"}, "2001:db8::8", "192.0.2.8")},
			[]route{to("b", "10.42.1.0/24", "192.0.2.8"), to("b", "fd00:42:1::/64", "2001:db8::8")}},
		"one family": {[]*corev1.Node{node("b", []string{"10.42.1.0/24", "fd00:42:1::/64"}, "192.0.2.8")},
			[]route{to("b", "10.42.1.0/24", "192.0.2.8")}},
	} {
		if got := routesTo(tc.nodes, "own"); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func routesNow(t *testing.T) (texts []string) {
	t.Helper()
	routes, err := ourRoutes()
	must(t, err)
	for _, r := range routes {
		texts = append(texts, r.Dst.String()+" via "+r.Gw.String())
	}
	slices.Sort(texts)
	return texts
}

func TestRoutesComeAndGo(t *testing.T) {
	ownNetwork(t)
	foreign := &netlink.Route{Dst: ipNet(netip.MustParsePrefix("10.99.0.0/24")), Gw: netip.MustParseAddr("192.0.2.9").AsSlice(), Protocol: 4}
	must(t, netlink.RouteAdd(foreign))
	b, six := to("b", "10.42.1.0/24", "192.0.2.8"), to("b", "fd00:42:1::/64", "2001:db8::8")
	for _, tc := range []struct{ want []route }{
		{[]route{b, six}}, {[]route{b, six}}, {[]route{to("b", "10.42.1.0/24", "192.0.2.18"), six}}, {[]route{b}}, {nil},
	} {
		must(t, setRoutes(tc.want))
		var want []string
		for _, r := range tc.want {
			want = append(want, r.to.String()+" via "+r.via.String())
		}
		if got := routesNow(t); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	others, err := netlink.RouteListFiltered(netlink.FAMILY_V4, foreign, netlink.RT_FILTER_DST|netlink.RT_FILTER_GW)
	if err != nil || len(others) != 1 {
		t.Errorf("somebody else's route: %v, %v", others, err)
	}
}

func TestNodeInAnotherNetworkIsNamedAndTheOthersAreReached(t *testing.T) {
	ownNetwork(t)
	err := setRoutes([]route{to("far", "10.42.1.0/24", "203.0.113.8"), to("near", "10.42.2.0/24", "192.0.2.8")})
	if err == nil || !strings.Contains(err.Error(), "node far has the address 203.0.113.8, which is not in a network of this machine") {
		t.Errorf("got %v", err)
	}
	if got := routesNow(t); !slices.Equal(got, []string{"10.42.2.0/24 via 192.0.2.8"}) {
		t.Errorf("got %v", got)
	}
}
