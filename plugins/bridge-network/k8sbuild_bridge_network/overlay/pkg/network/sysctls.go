package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8sbuild.dev/distribution/pkg/durable"
)

// kernel is where its settings are, and where those that were there before are kept.
type kernel struct {
	root   string // /proc/sys
	bootID string // the file that says which boot this is
	kept   string
}

func machine(kept string) kernel {
	return kernel{root: "/proc/sys/net", bootID: "/proc/sys/kernel/random/boot_id", kept: kept}
}

// before are the settings as they were, until the machine is booted again.
type before struct {
	Boot     string            `json:"boot"`
	Settings map[string]string `json:"settings"`
}

// Settings, by their path below /proc/sys/net.
const (
	forward4 = "ipv4/ip_forward"
	forward6 = "ipv6/conf/all/forwarding"
	// Where bridges pass packets by the firewall's rules, a pod's answer through
	// a Service to a pod on the same bridge has the wrong address.
	bridged4 = "bridge/bridge-nf-call-iptables"
	bridged6 = "bridge/bridge-nf-call-ip6tables"
)

// follows are the settings that the kernel changes with another one.
var follows = map[string][]string{
	forward4: {"ipv4/conf/*/forwarding", "ipv4/conf/*/accept_redirects"},
	forward6: {"ipv6/conf/*/forwarding", "ipv6/conf/*/accept_redirects"},
}

// proxied are what kube-proxy, which starts after us, sets and leaves so.
var proxied = []string{
	"ipv4/conf/all/route_localnet", "netfilter/nf_conntrack_max",
	"netfilter/nf_conntrack_tcp_timeout_established", "netfilter/nf_conntrack_tcp_timeout_close_wait",
}

// acceptRA are where routers' advertisements are believed: 1 means unless we forward.
const acceptRA = "ipv6/conf/*/accept_ra"

// ensure sets what pods of these address families need.
func (k kernel) ensure(cluster []netip.Prefix) (remarks []string, err error) {
	for _, c := range cluster {
		forward, bridged := forward4, bridged4
		if c.Addr().Is6() {
			forward, bridged = forward6, bridged6
			if err := k.keepAdvertisements(); err != nil {
				return remarks, err
			}
		}
		if err := k.set(forward, "1"); err != nil {
			return remarks, err
		}
		err := k.set(bridged, "1")
		if errors.Is(err, fs.ErrNotExist) {
			remarks = append(remarks, "this kernel has no "+filepath.Join(k.root, bridged)+" (module br_netfilter): "+
				"a pod cannot reach a Service whose pod is on the same node")
		} else if err != nil {
			return remarks, err
		}
	}
	return remarks, nil
}

// keepAdvertisements lets a machine keep the default route that routers tell it.
func (k kernel) keepAdvertisements() error {
	for _, name := range k.all(acceptRA) {
		if k.get(name) != "1" {
			continue
		}
		if err := k.set(name, "2"); err != nil {
			return err
		}
	}
	return nil
}

// guard lets pods send from their own addresses only. It goes with the bridge.
func (k kernel) guard() error { return k.write("ipv4/conf/"+linkName+"/rp_filter", "1") }

// set changes a setting, and keeps what there was first.
func (k kernel) set(name, value string) error {
	now, err := os.ReadFile(filepath.Join(k.root, name))
	if err != nil {
		return fmt.Errorf("read a setting of the kernel: %w", err)
	}
	if strings.TrimSpace(string(now)) == value {
		return nil
	}
	if err := k.keep(append([]string{name}, follows[name]...)...); err != nil {
		return err
	}
	return k.write(name, value)
}

// keep writes down settings as they are, unless they are kept already.
func (k kernel) keep(patterns ...string) error {
	b := k.load()
	for _, pattern := range patterns {
		for _, name := range k.all(pattern) {
			if _, is := b.Settings[name]; !is {
				b.Settings[name] = k.get(name)
			}
		}
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("keep settings of the kernel: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(k.kept), 0o700); err != nil {
		return fmt.Errorf("keep settings of the kernel: %w", err)
	}
	return durable.Write(k.kept, append(text, '\n'), 0o600)
}

// load is what was kept in this boot; before that, the kernel has forgotten.
func (k kernel) load() before {
	id, _ := os.ReadFile(k.bootID)
	now := before{Boot: strings.TrimSpace(string(id)), Settings: map[string]string{}}
	text, err := os.ReadFile(k.kept)
	var kept before
	if err != nil || json.Unmarshal(text, &kept) != nil || kept.Boot != now.Boot || kept.Settings == nil {
		return now
	}
	return kept
}

// restore puts everything back that was kept, what follows others last.
func (k kernel) restore() error {
	kept := k.load().Settings
	first := []string{forward4, forward6}
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(kept)), func(n string) bool { return slices.Contains(first, n) })
	var errs []error
	for _, name := range append(first, rest...) {
		value, is := kept[name]
		if !is || k.get(name) == value {
			continue
		}
		// Interfaces come and go.
		if err := k.write(name, value); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (k kernel) all(pattern string) (names []string) {
	found, _ := filepath.Glob(filepath.Join(k.root, pattern))
	for _, path := range found {
		if name, err := filepath.Rel(k.root, path); err == nil {
			names = append(names, name)
		}
	}
	return names
}

func (k kernel) get(name string) string {
	text, _ := os.ReadFile(filepath.Join(k.root, name))
	return strings.TrimSpace(string(text))
}

func (k kernel) write(name, value string) error {
	if err := os.WriteFile(filepath.Join(k.root, name), []byte(value), 0o644); err != nil {
		return fmt.Errorf("change a setting of the kernel: %w", err)
	}
	return nil
}
