package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Components are those that take arguments of the user.
var Components = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"}

// ofProcess are arguments that would change more than the component they are
// given to, or take its other arguments away, and what to do instead.
var ofProcess = map[string]string{
	"feature-gates": "all components share one set of feature gates, give --feature-gates",
	"config":        "a file would replace our settings, give its fields as arguments",
	"config-dir":    "files would replace our settings, give their fields as arguments",
}

// dnsName is a DNS subdomain (RFC 1123), as Kubernetes wants it.
var dnsName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

var effects = []string{"NoSchedule", "PreferNoSchedule", "NoExecute"}

// Extra are the user's arguments for a component.
func (c *Config) Extra(component string) (args []string) {
	for _, arg := range c.ExtraArgs[component] {
		args = append(args, "--"+strings.TrimLeft(arg, "-"))
	}
	return args
}

// KubeletRoot is where the kubelet has its pods' volumes.
func (c *Config) KubeletRoot() string { return c.extra("kubelet", "root-dir", "/var/lib/kubelet") }

// completeNode fills what the machine says about its node.
func (c *Config) completeNode() error {
	c.RuntimeEndpoint = func() string { return c.ContainerRuntimeEndpoint }
	if c.DisableAgent {
		return nil
	}
	if c.NodeName == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("--node-name: ask for the host name: %w", err)
		}
		c.NodeName = strings.ToLower(host)
	}
	if len(c.NodeIPs) == 0 {
		c.NodeIPs = []string{c.defaultNodeIP()}
	}
	if c.Network == "" {
		c.Network = c.defaultNetwork()
	}
	if filepath.IsAbs(c.ContainerRuntimeEndpoint) {
		c.ContainerRuntimeEndpoint = "unix://" + c.ContainerRuntimeEndpoint
	}
	return nil
}

// defaultNodeIP is where the cluster reaches this machine.
func (c *Config) defaultNodeIP() string {
	if addr, err := netip.ParseAddr(c.AdvertiseAddress); err == nil && !addr.IsLoopback() {
		return c.AdvertiseAddress
	}
	return routeAddress()
}

func isDNSName(name string) bool { return len(name) <= 253 && dnsName.MatchString(name) }

func (c *Config) checkNode() error {
	if c.DrainOnStop < 0 {
		return fmt.Errorf("--drain-on-stop=%s: must be a time such as 60s", c.DrainOnStop)
	}
	if err := c.checkNetwork(); err != nil || c.DisableAgent {
		return err
	}
	if !isDNSName(c.NodeName) {
		return fmt.Errorf("--node-name=%s: must be a DNS name in small letters", c.NodeName)
	}
	if e := c.ContainerRuntimeEndpoint; e != "" && !strings.HasPrefix(e, "unix:///") {
		return fmt.Errorf("--container-runtime-endpoint=%s: must be a socket such as unix:///run/containerd/containerd.sock", e)
	}
	for _, label := range c.NodeLabels {
		if key, _, found := strings.Cut(label, "="); !found || key == "" {
			return fmt.Errorf("--node-label=%s: must be KEY=VALUE", label)
		}
	}
	for _, taint := range c.NodeTaints {
		if key, effect, _ := strings.Cut(taint, ":"); key == "" || !slices.Contains(effects, effect) {
			return fmt.Errorf("--node-taint=%s: must be KEY=VALUE:EFFECT with one of the effects %s", taint, strings.Join(effects, ", "))
		}
	}
	return c.checkNodeIPs()
}

func (c *Config) checkNodeIPs() error {
	addrs, err := c.NodeAddrs()
	if err != nil {
		return err
	}
	if len(addrs) > 2 || len(addrs) == 2 && addrs[0].Is4() == addrs[1].Is4() {
		return fmt.Errorf("--node-ip=%s: must be one address, or one IPv4 and one IPv6 address", strings.Join(c.NodeIPs, ","))
	}
	return nil
}

// NodeAddrs are the addresses of --node-ip.
func (c *Config) NodeAddrs() ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, ip := range c.NodeIPs {
		addr, err := netip.ParseAddr(ip)
		switch {
		case err != nil:
			return nil, fmt.Errorf("--node-ip=%s: not an IP address", ip)
		case addr.IsLoopback():
			return nil, errors.New("--node-ip: a node needs an address at which others reach it, not loopback; give one, or --disable-agent")
		case !addr.IsGlobalUnicast():
			return nil, fmt.Errorf("--node-ip=%s: must be an address of one machine", ip)
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

func (c *Config) checkExtraArgs() error {
	for _, component := range Components {
		for _, arg := range c.ExtraArgs[component] {
			name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			if instead, is := ofProcess[name]; is {
				return fmt.Errorf("--%s-arg=%s: %s", component, arg, instead)
			}
			if name == "" {
				return fmt.Errorf("--%s-arg=%s: must be NAME=VALUE", component, arg)
			}
		}
	}
	return nil
}
