package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func parsed(t *testing.T, args ...string) *Config {
	t.Helper()
	c := Default()
	fs := pflag.NewFlagSet("k8s", pflag.ContinueOnError)
	c.AddFlags(fs)
	if err := fs.Parse(append([]string{"--disable-agent", "--data-dir", t.TempDir()}, args...)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCompleteFillsDefaults(t *testing.T) {
	c := parsed(t, "--service-cidr=10.96.0.0/12")
	if err := c.Complete(); err != nil {
		t.Fatal(err)
	}
	ip, err := c.APIServiceIP()
	if err != nil || ip.String() != "10.96.0.1" || c.ClusterDNS != "10.96.0.10" {
		t.Errorf("got %v, %v, %s", ip, err, c.ClusterDNS)
	}
	if !slices.Equal(c.EtcdServers, []string{"http://127.0.0.1:2379"}) || c.ServerMode != Single {
		t.Errorf("got %v, %s", c.EtcdServers, c.ServerMode)
	}
	if c.AdvertiseAddress == "" || !filepath.IsAbs(c.DataDir) {
		t.Errorf("got %q, %q", c.AdvertiseAddress, c.DataDir)
	}
	if c.AdminKubeconfig() != filepath.Join(c.DataDir, "admin.kubeconfig") {
		t.Errorf("got %s", c.AdminKubeconfig())
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"--disable-agent=false --node-name=Big", "--node-name=Big: must be a DNS name"},
		{"--disable-agent=false --node-ip=here", "--node-ip=here: not an IP address"},
		{"--disable-agent=false --node-ip=127.0.0.1", "not loopback"},
		{"--disable-agent=false --node-ip=fe80::1", "--node-ip=fe80::1: must be an address of one machine"},
		{"--disable-agent=false --node-ip=192.0.2.1,192.0.2.2", "one IPv4 and one IPv6 address"},
		{"--disable-agent=false --node-ip=192.0.2.1 --node-label=a", "--node-label=a: must be KEY=VALUE"},
		{"--disable-agent=false --node-ip=192.0.2.1 --node-taint=a=b", "--node-taint=a=b: must be KEY=VALUE:EFFECT"},
		{"--disable-agent=false --node-ip=192.0.2.1 --node-taint=a=b:Never", "NoSchedule, PreferNoSchedule, NoExecute"},
		{"--disable-agent=false --container-runtime-endpoint=tcp://a", "must be a socket such as unix:///run"},
		{"--kubelet-arg=feature-gates=A=true", "--kubelet-arg=feature-gates=A=true: all components share one set of feature gates"},
		{"--kube-proxy-arg=--config=/a", "give its fields as arguments"},
		{"--kube-scheduler-arg=", "--kube-scheduler-arg=: must be NAME=VALUE"},
		{"--data-dir=", "--data-dir: must be a directory"},
		{"--database-max-size=8", "--database-max-size=8: must be at least 64, in MiB"},
		{"--cluster-domain=_bad_.", "--cluster-domain=_bad_.: must be a DNS name"},
		{"--cluster-domain=", "--cluster-domain=: must be a DNS name"},
		{"--tls-san=,", "--tls-san=,: must be DNS names and IP addresses"},
		{"--tls-san=api.example.com,a_b", "--tls-san=api.example.com,a_b: must be DNS names"},
		{"--bind-address=localhost", "--bind-address=localhost: not an IP address"},
		{"--advertise-address=0.0.0.0", "must be an address of one machine"},
		{"--advertise-address=nowhere", "--advertise-address=nowhere: not an IP address"},
		{"--https-listen-port=0", "--https-listen-port=0: must be a port"},
		{"--scheduler-port=70000", "--scheduler-port=70000: must be a port"},
		{"--scheduler-port=6443", "--https-listen-port has the same port"},
		{"--cluster-cidr=10.43.7.0/24", "overlaps --service-cidr"},
		{"--cluster-cidr=banana", `"banana" is not an address range`},
		{"--service-cidr=10.0.0.0/16,10.1.0.0/16", "one IPv4 and one IPv6"},
		{"--service-cidr=10.96.0.0/31", "is too small"},
		{"--advertise-address=192.0.2.1 --service-cidr=fd00:43::/112", "address family of --advertise-address=192.0.2.1"},
		{"--advertise-address=2001:db8::1 --service-cidr=10.43.0.0/16", "address family of --advertise-address=2001:db8::1"},
		{"--cluster-dns=10.42.0.10", "not in --service-cidr"},
		{"--cluster-dns=dns", "--cluster-dns=dns: not an IP address"},
		{"--etcd-certfile=a", "need each other"},
		{"--server-mode=ha --etcd-servers=10.0.0.1:2379", "is not a URL such as"},
		{"--server-mode=ha --etcd-cafile=/none/ca", "--etcd-cafile: open /none/ca: no such file"},
		{"--server-mode=ha --etcd-certfile=/ --etcd-keyfile=b", "--etcd-certfile: read /: is a directory"},
		{"--etcd-servers=https://10.0.0.1:2379", "need --server-mode=ha"},
		{"--etcd-cafile=/none/ca", "need --server-mode=ha"},
		{"--server-mode=ha --etcd-servers=", "must name at least one server"},
		{"--write-kubeconfig-mode=rw", "must be an octal mode"},
		{"--write-kubeconfig-mode=01777", "must be an octal mode"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			err := parsed(t, strings.Fields(tc.args)...).Complete()
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tc.want)
			}
		})
	}
}

func TestDualStack(t *testing.T) {
	c := parsed(t, "--cluster-cidr=10.42.0.0/16,fd00:42::/56", "--service-cidr=fd00:43::/112,10.43.0.0/16", "--advertise-address=2001:db8::1")
	if err := c.Complete(); err != nil {
		t.Fatal(err)
	}
	if c.ClusterDNS != "fd00:43::a" {
		t.Errorf("got %s", c.ClusterDNS)
	}
}

func TestURLs(t *testing.T) {
	for bind, want := range map[string]string{
		"0.0.0.0":   "https://127.0.0.1:6443",
		"::":        "https://[::1]:6443",
		"192.0.2.7": "https://192.0.2.7:6443",
		"nonsense":  "https://127.0.0.1:6443",
	} {
		c := Default()
		c.BindAddress = bind
		if got := c.APIServerURL(); got != want {
			t.Errorf("%s: got %s, want %s", bind, got, want)
		}
	}
	if got := Default().LocalURL(10257, "/healthz"); got != "https://127.0.0.1:10257/healthz" {
		t.Errorf("got %s", got)
	}
}

func TestDirectories(t *testing.T) {
	c := Default()
	for got, want := range map[string]string{
		c.TLSDir(): "/var/lib/k8s/tls", c.CredentialsDir(): "/var/lib/k8s/cred", c.DBDir(): "/var/lib/k8s/db",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	c := Default()
	fs := pflag.NewFlagSet("k8s", pflag.ContinueOnError)
	c.AddFlags(fs)
	if err := fs.Parse([]string{"--https-listen-port=7001"}); err != nil {
		t.Fatal(err)
	}
	unknown, err := ApplyEnv(fs, []string{
		"K8S_HTTPS_LISTEN_PORT=7002", "K8S_SERVER_MODE=ha", "K8S_TLS_SAN=a,b", "K8S_V=4", "K8S_DISABLE_AGENT=true",
		"K8S_DATA_DIR=", "K8S_TYPO=1", "K8S_ANOTHER=2", "PATH=/bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTPSListenPort != 7001 {
		t.Errorf("the flag must win, got port %d", c.HTTPSListenPort)
	}
	if c.ServerMode != HA || !slices.Equal(c.TLSSANs, []string{"a", "b"}) || c.Verbosity != 4 || !c.DisableAgent {
		t.Errorf("got %+v", c)
	}
	if c.DataDir != Default().DataDir {
		t.Errorf("an empty variable must set nothing, got %q", c.DataDir)
	}
	if !slices.Equal(unknown, []string{"K8S_ANOTHER", "K8S_TYPO"}) {
		t.Errorf("got %v", unknown)
	}
}

func TestEnvironmentRefusal(t *testing.T) {
	c := Default()
	fs := pflag.NewFlagSet("k8s", pflag.ContinueOnError)
	c.AddFlags(fs)
	_, err := ApplyEnv(fs, []string{"K8S_SERVER_MODE=cluster"})
	if err == nil || !strings.Contains(err.Error(), "K8S_SERVER_MODE") || !strings.Contains(err.Error(), "must be single or ha") {
		t.Errorf("got %v", err)
	}
}

func TestOnlyWhatIsBuiltInIsLeftOut(t *testing.T) {
	for _, tc := range []struct {
		parts []string
		want  string
	}{
		{[]string{"policy", "dns"}, ""},
		{[]string{"policy", "ingress"}, "--disable=dns: no such add-on or component is built into this binary; there are: ingress, policy"},
		{nil, "--disable=dns: no such add-on or component is built into this binary; there are: none"},
	} {
		c := Default()
		c.DisableAgent, c.Disable, c.Parts = true, []string{"dns"}, tc.parts
		if err := c.Complete(); (err == nil) != (tc.want == "") || err != nil && err.Error() != tc.want {
			t.Errorf("%v: got %v", tc.parts, err)
		}
	}
}

func TestNode(t *testing.T) {
	c := parsed(t, "--disable-agent=false", "--advertise-address=192.0.2.1", "--container-runtime-endpoint=/run/a.sock",
		"--kubelet-arg=max-pods=10", "--kubelet-arg=--eviction-hard=a<1,b<2", "--node-taint=a:NoExecute")
	if err := c.Complete(); err != nil {
		t.Fatal(err)
	}
	if c.NodeName == "" || !slices.Equal(c.NodeIPs, []string{"192.0.2.1"}) || c.RuntimeEndpoint() != "unix:///run/a.sock" {
		t.Errorf("got %q, %q, %q", c.NodeName, c.NodeIPs, c.RuntimeEndpoint())
	}
	if got := c.Extra("kubelet"); !slices.Equal(got, []string{"--max-pods=10", "--eviction-hard=a<1,b<2"}) {
		t.Errorf("got %q", got)
	}
	// The API server may be on loopback; the node may not.
	c = parsed(t, "--disable-agent=false", "--advertise-address=127.0.0.1")
	if err := c.Complete(); err != nil && !strings.Contains(err.Error(), "not loopback") || c.NodeIPs[0] != routeAddress() {
		t.Errorf("got %v, %v", c.NodeIPs, err)
	}
}
