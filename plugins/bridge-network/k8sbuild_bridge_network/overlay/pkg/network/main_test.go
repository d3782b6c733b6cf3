package network

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"

	"k8sbuild.dev/distribution/pkg/nettest"
)

func TestMain(m *testing.M) { nettest.Main(m) }

// ownNetwork gives the test a network whose uplink has the node's addresses, and
// takes away what it leaves.
func ownNetwork(t *testing.T) {
	t.Helper()
	nettest.Need(t, "interfaces, routes and rules")
	// Every kernel that has pods has bridges.
	uplink := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "uplink", MTU: 1400}}
	must(t, netlink.LinkAdd(uplink))
	t.Cleanup(func() { _ = netlink.LinkDel(uplink); _ = removeLink() })
	for _, text := range []string{"192.0.2.7/24", "2001:db8::7/64"} {
		address, err := netlink.ParseAddr(text)
		must(t, err)
		must(t, netlink.AddrAdd(uplink, address))
	}
	must(t, netlink.LinkSetUp(uplink))
}

// variants are the programs of this machine that speak to the kernel.
func variants(t *testing.T, try func(t *testing.T)) {
	t.Helper()
	tried := false
	for _, variant := range []string{"legacy", "nft"} {
		dir := t.TempDir()
		for _, name := range []string{"iptables", "ip6tables"} {
			for _, verb := range []string{"", "-save", "-restore"} {
				found, err := exec.LookPath(name + "-" + variant + verb)
				if err == nil {
					must(t, os.Symlink(found, filepath.Join(dir, name+verb)))
				}
			}
		}
		if found, _ := os.ReadDir(dir); len(found) == 6 {
			tried = true
			t.Run(variant, func(t *testing.T) {
				t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
				// Who is no real root may not write to the usual place.
				t.Setenv("XTABLES_LOCKFILE", filepath.Join(dir, "lock"))
				try(t)
			})
		}
	}
	if !tried {
		t.Skip("SKIPPED: this machine has no iptables; rules are NOT tried on a kernel")
	}
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}
