package network

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// settings are a kernel made of files. What the kernel changes by itself is not in it.
func settings(t *testing.T, values map[string]string) kernel {
	t.Helper()
	dir := t.TempDir()
	k := kernel{filepath.Join(dir, "sys"), filepath.Join(dir, "boot_id"), filepath.Join(dir, "kept", "kernel.json")}
	must(t, os.WriteFile(k.bootID, []byte("boot-1\n"), 0o600))
	for name, value := range values {
		path := filepath.Join(k.root, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(value+"\n"), 0o600))
	}
	return k
}

func (k kernel) now(names map[string]string) map[string]string {
	now := map[string]string{}
	for name := range names {
		now[name] = k.get(name)
	}
	return now
}

var fresh = map[string]string{
	forward4: "0", "ipv4/conf/all/forwarding": "0", "ipv4/conf/all/accept_redirects": "1", bridged4: "0",
	forward6: "0", "ipv6/conf/a/accept_ra": "1", "ipv6/conf/b/accept_ra": "0", bridged6: "1",
}

func TestKernelIsSetAndPutBack(t *testing.T) {
	k := settings(t, fresh)
	for range 2 {
		remarks, err := k.ensure(prefixes("10.42.0.0/16", "fd00::/48"))
		if err != nil || len(remarks) > 0 {
			t.Fatal(remarks, err)
		}
		want := maps.Clone(fresh)
		want[forward4], want[bridged4], want[forward6], want["ipv6/conf/a/accept_ra"] = "1", "1", "1", "2"
		if now := k.now(fresh); !maps.Equal(now, want) {
			t.Errorf("got %v", now)
		}
	}
	// As the kernel does.
	must(t, k.write("ipv4/conf/all/accept_redirects", "0"))
	must(t, k.restore())
	if now := k.now(fresh); !maps.Equal(now, fresh) {
		t.Errorf("put back to %v", now)
	}
	must(t, k.restore())
}

func TestWhatKubeProxySetsIsPutBack(t *testing.T) {
	k := settings(t, map[string]string{proxied[0]: "0"})
	must(t, k.keep(proxied...))
	must(t, k.write(proxied[0], "1"))
	must(t, k.keep(proxied...)) // a second start
	must(t, k.restore())
	if got := k.get(proxied[0]); got != "0" {
		t.Errorf("put back to %s", got)
	}
}

func TestOneFamilyLeavesTheOtherAlone(t *testing.T) {
	k := settings(t, fresh)
	if _, err := k.ensure(prefixes("10.42.0.0/16")); err != nil || k.get(forward6) != "0" || k.get("ipv6/conf/a/accept_ra") != "1" {
		t.Errorf("got %v, %v", k.now(fresh), err)
	}
}

func TestWhatWasSetBeforeTheLastBootIsNotPutBack(t *testing.T) {
	k := settings(t, fresh)
	_, err := k.ensure(prefixes("10.42.0.0/16"))
	must(t, err)
	must(t, os.WriteFile(k.bootID, []byte("boot-2\n"), 0o600))
	must(t, k.restore())
	if k.get(forward4) != "1" {
		t.Error("changed what the administrator may have set since")
	}
}

func TestInterfacesThatAreGoneAreNoProblem(t *testing.T) {
	k := settings(t, fresh)
	_, err := k.ensure(prefixes("fd00::/48"))
	must(t, err)
	must(t, os.RemoveAll(filepath.Join(k.root, "ipv6/conf/a")))
	must(t, k.restore())
	if k.get(forward6) != "0" {
		t.Error("not put back")
	}
}

func TestKernelWithoutBridgeFilterIsRemarkedOn(t *testing.T) {
	some := maps.Clone(fresh)
	delete(some, bridged4)
	k := settings(t, some)
	remarks, err := k.ensure(prefixes("10.42.0.0/16"))
	if err != nil || len(remarks) != 1 || !strings.Contains(remarks[0], "br_netfilter") || strings.Contains(remarks[0], "\n") {
		t.Errorf("got %v, %v", remarks, err)
	}
}

func TestKernelThatCannotBeReadIsAnError(t *testing.T) {
	k := settings(t, nil)
	for _, cluster := range []string{"10.42.0.0/16", "fd00::/48"} {
		if _, err := k.ensure(prefixes(cluster)); err == nil || !strings.Contains(err.Error(), "read a setting of the kernel") {
			t.Errorf("%s: got %v", cluster, err)
		}
	}
}

// The machine's own, in a namespace.
func TestRealKernelIsPutBack(t *testing.T) {
	ownNetwork(t)
	k := machine(filepath.Join(t.TempDir(), "kept", "kernel.json"))
	all := func() map[string]string {
		names := append(k.all("ipv4/conf/*/*"), k.all("ipv6/conf/*/*")...)
		names = append(names, forward4, bridged4, bridged6)
		now := map[string]string{}
		for _, name := range slices.DeleteFunc(names, func(n string) bool { return strings.Contains(n, "stable_secret") }) {
			now[name] = k.get(name)
		}
		return now
	}
	must(t, k.write(forward4, "0"))
	must(t, k.write("ipv4/conf/all/accept_redirects", "0"))
	must(t, k.write("ipv6/conf/uplink/accept_ra", "1"))
	before := all()
	_, err := k.ensure(prefixes("10.42.0.0/16", "fd00::/48"))
	must(t, err)
	if k.get(forward4) != "1" || k.get(forward6) != "1" || k.get("ipv6/conf/uplink/accept_ra") != "2" {
		t.Errorf("not set: %v", k.now(fresh))
	}
	must(t, k.restore())
	for name, value := range all() {
		if before[name] != value {
			t.Errorf("%s is %s, was %s", name, value, before[name])
		}
	}
}
