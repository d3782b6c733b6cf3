package network

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

func configuration(t *testing.T) *config.Config {
	t.Helper()
	cfg := componenttest.Node(t)
	cfg.ClusterCIDR = "10.42.0.0/16"
	return cfg
}

func TestNetworkFollowsTheNodes(t *testing.T) {
	ownNetwork(t)
	variants(t, follow)
}

func follow(t *testing.T) {
	cfg := configuration(t)
	before := saved(t)
	n, err := newNetwork(cfg)
	must(t, err)
	client := fake.NewClientset(node("node", nil, "192.0.2.7"))
	nodes := client.CoreV1().Nodes()
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- n.run(ctx, client, func() { close(ready) }) }()
	<-ready
	if _, err := os.Stat(n.file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("pods are let in before there is a range: %v", err)
	}
	for _, pods := range []string{"10.42.0.0/24", "10.42.5.0/24"} {
		_, err := nodes.Update(ctx, node("node", []string{pods}, "192.0.2.7"), metav1.UpdateOptions{})
		must(t, err)
		waitFor(t, "configuration for "+pods, func() bool {
			text, _ := os.ReadFile(n.file)
			return strings.Contains(string(text), pods) && strings.Contains(string(text), `"mtu": 1400`)
		})
	}
	if got := n.kernel.get("ipv4/conf/" + linkName + "/rp_filter"); got != "1" {
		t.Errorf("pods may send from other addresses: rp_filter is %s", got)
	}
	_, err = nodes.Create(ctx, node("b", []string{"10.42.1.0/24"}, "192.0.2.8"), metav1.CreateOptions{})
	must(t, err)
	waitFor(t, "route", func() bool { return slices.Equal(routesNow(t), []string{"10.42.1.0/24 via 192.0.2.8"}) })
	must(t, nodes.Delete(ctx, "b", metav1.DeleteOptions{}))
	waitFor(t, "end of the route", func() bool { return len(routesNow(t)) == 0 })
	must(t, n.guard())
	cancel()
	must(t, <-ended)
	undone(t, cfg, before)
}

// undone wants that nothing is left but what was there before.
func undone(t *testing.T, cfg *config.Config, before string) {
	t.Helper()
	if !strings.Contains(saved(t), string(natChain)) {
		t.Error("a stop removes rules of pods that run")
	}
	must(t, setRoutes([]route{to("b", "10.42.1.0/24", "192.0.2.8")}))
	must(t, undo(t.Context(), cfg, t.TempDir()))
	must(t, undo(t.Context(), cfg, t.TempDir()))
	if got := saved(t); got != before {
		t.Errorf("left\n%s\nnot\n%s", got, before)
	}
	if got := routesNow(t); len(got) > 0 {
		t.Errorf("left routes %v", got)
	}
	if _, err := netlink.LinkByName(linkName); err == nil {
		t.Error("left the bridge")
	}
	for _, path := range []string{cniFile(cfg), ipamDir(cfg), filepath.Dir(keptFile(cfg))} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("left %s", path)
		}
	}
}

func TestSlimKeepsWhatRoutesAreMadeOf(t *testing.T) {
	full := node("b", []string{"10.42.1.0/24"}, "192.0.2.8")
	full.Status.Images = []corev1.ContainerImage{{Names: []string{"a"}}}
	got, err := slim(full)
	must(t, err)
	n := got.(*corev1.Node)
	if len(n.Status.Images) > 0 || len(routesTo([]*corev1.Node{n}, "own")) != 1 {
		t.Errorf("got %v", n)
	}
	if got, err := slim("gone"); got != "gone" || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestProblemsAreSaidOnce(t *testing.T) {
	n := &network{}
	n.report(errors.New("a"))
	if n.said != "a" {
		t.Error("not said")
	}
	n.report(nil)
	if n.said != "" {
		t.Error("not over")
	}
}

func TestAProblemOfTheRulesIsNotOverWhileRoutesAreWell(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	n := &network{node: "node", cluster: prefixes("10.42.0.0/16"), kernel: kernel{root: t.TempDir()}, tables: programs}
	none := listers.NewNodeLister(cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil))
	n.look(none, true)
	said := n.said
	if !strings.Contains(said, "write IPv4 rules") {
		t.Errorf("said %q", said)
	}
	if n.look(none, false); n.said != said {
		t.Errorf("said %q, then %q", said, n.said)
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := New(configuration(t))
	if err == nil || !strings.Contains(err.Error(), "pods need the program iptables") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}

func TestService(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"iptables", "ip6tables"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700))
	}
	t.Setenv("PATH", dir)
	Register()
	cfg := configuration(t)
	cfg.ClusterCIDR = "10.42.0.0/16,fd00:42::/48"
	s, err := New(cfg)
	if err != nil || s.Name() != Name || !slices.Contains(server.Networks(), Name) {
		t.Fatal(s, err, server.Networks())
	}
	if err := s.Ready(t.Context()); !errors.Is(err, errNotYet) {
		t.Errorf("got %v", err)
	}
	if err := s.(*service.Runner).Run(t.Context()); err == nil {
		t.Error("runs without certificates")
	}
}

func TestOnlyOurAnswersAreRemoved(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"k8s-0123-eth0": `{"kind": "cniCacheV1", "networkName": "k8s"}`,
		"k8s-mesh-4567": `{"kind": "cniCacheV1", "networkName": "k8s-mesh"}`,
		"k8s-broken":    `{`,
	}
	for name, text := range files {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	must(t, removeResults(dir))
	for name := range files {
		_, err := os.Stat(filepath.Join(dir, name))
		if gone := err != nil; gone != (name == "k8s-0123-eth0") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
