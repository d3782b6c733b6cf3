package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Complete fills what depends on other fields or on the machine and checks the
// result. Its error is one line that names the flag.
func (c *Config) Complete() error {
	dir, err := filepath.Abs(c.DataDir)
	if err != nil || c.DataDir == "" {
		return errors.New("--data-dir: must be a directory")
	}
	c.DataDir = dir
	if c.AdvertiseAddress == "" {
		c.AdvertiseAddress = c.defaultAdvertiseAddress()
	}
	if err := c.completeNode(); err != nil {
		return err
	}
	if err := c.validate(); err != nil {
		return err
	}
	if c.ClusterDNS == "" {
		return c.defaultClusterDNS()
	}
	return nil
}

func (c *Config) validate() error {
	checks := []func() error{
		c.checkAddresses, c.checkNames, c.checkPorts, c.checkCIDRs, c.checkEtcd, c.checkMode, c.checkDatabase, c.checkParts, c.checkNode, c.checkExtraArgs,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkAddresses() error {
	for _, f := range []struct{ flag, value string }{
		{"bind-address", c.BindAddress}, {"advertise-address", c.AdvertiseAddress},
	} {
		if _, err := netip.ParseAddr(f.value); err != nil {
			return fmt.Errorf("--%s=%s: not an IP address", f.flag, f.value)
		}
	}
	if netip.MustParseAddr(c.AdvertiseAddress).IsUnspecified() {
		return fmt.Errorf("--advertise-address=%s: must be an address of one machine", c.AdvertiseAddress)
	}
	if c.ClusterDNS != "" && net.ParseIP(c.ClusterDNS) == nil {
		return fmt.Errorf("--cluster-dns=%s: not an IP address", c.ClusterDNS)
	}
	return nil
}

func (c *Config) checkNames() error {
	if !isDNSName(c.ClusterDomain) {
		return fmt.Errorf("--cluster-domain=%s: must be a DNS name in small letters, such as cluster.local", c.ClusterDomain)
	}
	for _, name := range c.TLSSANs {
		_, err := netip.ParseAddr(name)
		if err != nil && !isDNSName(strings.ToLower(strings.TrimPrefix(name, "*."))) {
			return fmt.Errorf("--tls-san=%s: must be DNS names and IP addresses", strings.Join(c.TLSSANs, ","))
		}
	}
	return nil
}

func (c *Config) checkPorts() error {
	users := map[int]string{}
	for _, p := range []struct {
		flag string
		port int
	}{
		{"https-listen-port", c.HTTPSListenPort},
		{"controller-manager-port", c.ControllerManagerPort},
		{"scheduler-port", c.SchedulerPort},
	} {
		if p.port < 1 || p.port > 65535 {
			return fmt.Errorf("--%s=%d: must be a port from 1 to 65535", p.flag, p.port)
		}
		if other, taken := users[p.port]; taken {
			return fmt.Errorf("--%s=%d: --%s has the same port", p.flag, p.port, other)
		}
		users[p.port] = p.flag
	}
	return nil
}

func (c *Config) checkCIDRs() error {
	pods, err := parseCIDRs("cluster-cidr", c.ClusterCIDR)
	if err != nil {
		return err
	}
	services, err := parseCIDRs("service-cidr", c.ServiceCIDR)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		for _, service := range services {
			if pod.Overlaps(service) {
				return fmt.Errorf("--cluster-cidr=%s: overlaps --service-cidr=%s", c.ClusterCIDR, c.ServiceCIDR)
			}
		}
	}
	// A loopback address is in no Endpoints object, so it need not fit.
	if own := netip.MustParseAddr(c.AdvertiseAddress); !own.IsLoopback() && own.Is4() != services[0].Addr().Is4() {
		return fmt.Errorf("--service-cidr=%s: its first range must be of the address family of --advertise-address=%s", c.ServiceCIDR, c.AdvertiseAddress)
	}
	if dns, err := netip.ParseAddr(c.ClusterDNS); err == nil &&
		!slices.ContainsFunc(services, func(p netip.Prefix) bool { return p.Contains(dns) }) {
		return fmt.Errorf("--cluster-dns=%s: not in --service-cidr=%s", c.ClusterDNS, c.ServiceCIDR)
	}
	return nil
}

// parseCIDRs accepts one range, or one of each address family.
func parseCIDRs(flag, value string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, part := range strings.Split(value, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("--%s=%s: %q is not an address range such as 10.0.0.0/16", flag, value, part)
		}
		out = append(out, p.Masked())
	}
	if len(out) > 2 || len(out) == 2 && out[0].Addr().Is4() == out[1].Addr().Is4() {
		return nil, fmt.Errorf("--%s=%s: must be one range, or one IPv4 and one IPv6 range", flag, value)
	}
	return out, nil
}

func (c *Config) checkEtcd() error {
	if (c.EtcdCertFile == "") != (c.EtcdKeyFile == "") {
		return errors.New("--etcd-certfile and --etcd-keyfile: need each other")
	}
	if c.ServerMode != HA {
		return c.checkNoEtcd()
	}
	if len(c.EtcdServers) == 0 {
		return errors.New("--etcd-servers: must name at least one server with --server-mode=ha")
	}
	for _, f := range []struct{ flag, path string }{
		{"etcd-cafile", c.EtcdCAFile}, {"etcd-certfile", c.EtcdCertFile}, {"etcd-keyfile", c.EtcdKeyFile},
	} {
		if err := readable(f.path); f.path != "" && err != nil {
			return fmt.Errorf("--%s: %w", f.flag, err)
		}
	}
	for _, server := range c.EtcdServers {
		u, err := url.Parse(server)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("--etcd-servers: %q is not a URL such as https://10.0.0.1:2379", server)
		}
	}
	return nil
}

// checkNoEtcd keeps somebody who names an etcd from a server that has its state
// for itself.
func (c *Config) checkNoEtcd() error {
	theirs := []string{c.EtcdCAFile, c.EtcdCertFile, c.EtcdKeyFile}
	if slices.Equal(c.EtcdServers, Default().EtcdServers) && strings.Join(theirs, "") == "" {
		return nil
	}
	return fmt.Errorf("--etcd-servers and the files for it: need --server-mode=%s, or nothing is written there", HA)
}

func readable(path string) error {
	_, err := os.ReadFile(path)
	return err
}

func (c *Config) checkMode() error {
	_, err := c.KubeconfigMode()
	return err
}

// minDatabaseSize is what a cluster with nothing in it needs, and some room.
const minDatabaseSize = 64

func (c *Config) checkDatabase() error {
	if c.DatabaseMaxSize < minDatabaseSize {
		return fmt.Errorf("--database-max-size=%d: must be at least %d, in MiB", c.DatabaseMaxSize, minDatabaseSize)
	}
	return nil
}

func (c *Config) checkParts() error {
	for _, name := range c.Disable {
		if !slices.Contains(c.Parts, name) {
			return fmt.Errorf("--disable=%s: no such add-on or component is built into this binary; there are: %s", name, c.partNames())
		}
	}
	return nil
}

// partNames are the values of --disable.
func (c *Config) partNames() string {
	if len(c.Parts) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(slices.Values(c.Parts)), ", ")
}

// KubeconfigMode is the mode of the file of --write-kubeconfig.
func (c *Config) KubeconfigMode() (fs.FileMode, error) {
	mode, err := strconv.ParseUint(c.WriteKubeconfigMode, 8, 9)
	if err != nil || mode == 0 {
		return 0, fmt.Errorf("--write-kubeconfig-mode=%s: must be an octal mode such as 0644", c.WriteKubeconfigMode)
	}
	return fs.FileMode(mode), nil
}

// ClusterPrefixes are the ranges of --cluster-cidr.
func (c *Config) ClusterPrefixes() ([]netip.Prefix, error) {
	return parseCIDRs("cluster-cidr", c.ClusterCIDR)
}

// ServicePrefixes are the ranges of --service-cidr.
func (c *Config) ServicePrefixes() ([]netip.Prefix, error) {
	return parseCIDRs("service-cidr", c.ServiceCIDR)
}

// APIServiceIP is the address of the service "kubernetes", the first of
// --service-cidr.
func (c *Config) APIServiceIP() (netip.Addr, error) { return c.serviceIP(1) }

func (c *Config) serviceIP(n int) (netip.Addr, error) {
	prefixes, err := c.ServicePrefixes()
	if err != nil {
		return netip.Addr{}, err
	}
	ip := prefixes[0].Addr()
	for range n {
		ip = ip.Next()
	}
	if !prefixes[0].Contains(ip) {
		return netip.Addr{}, fmt.Errorf("--service-cidr=%s: is too small", c.ServiceCIDR)
	}
	return ip, nil
}

func (c *Config) defaultClusterDNS() error {
	ip, err := c.serviceIP(10)
	if err == nil {
		c.ClusterDNS = ip.String()
	}
	return err
}

// defaultAdvertiseAddress is the bind address if it is one machine's, else the
// address from which this machine reaches others, else loopback.
func (c *Config) defaultAdvertiseAddress() string {
	bind, err := netip.ParseAddr(c.BindAddress)
	if err == nil && !bind.IsUnspecified() {
		return c.BindAddress
	}
	return routeAddress()
}

// routeAddress is the address from which this machine reaches others, else loopback.
func routeAddress() string {
	// Connecting a UDP socket sends nothing, it only chooses the route. The
	// targets are documentation addresses (RFC 5737, RFC 3849).
	targets := []struct{ network, address string }{{"udp4", "192.0.2.1:9"}, {"udp6", "[2001:db8::1]:9"}}
	for _, t := range targets {
		if conn, err := net.Dial(t.network, t.address); err == nil {
			defer conn.Close()
			return conn.LocalAddr().(*net.UDPAddr).IP.String()
		}
	}
	return "127.0.0.1"
}
