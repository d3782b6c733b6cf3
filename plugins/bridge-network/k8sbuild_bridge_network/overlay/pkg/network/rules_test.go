package network

import (
	"strings"
	"testing"

	"k8sbuild.dev/distribution/pkg/cleanup"
)

func TestRulesOf(t *testing.T) {
	for _, tc := range []struct {
		cluster string
		random  bool
		want    []string
	}{
		{"10.42.0.0/16", true, []string{
			"-A K8S-POSTROUTING ! -s 10.42.0.0/16 -j RETURN\n-A K8S-POSTROUTING -d 10.42.0.0/16 -j RETURN\n-A K8S-POSTROUTING -d 224.0.0.0/4 -j RETURN\n" +
				"-A K8S-POSTROUTING -j MASQUERADE --random-fully\nCOMMIT\n",
			"-A K8S-FORWARD -s 10.42.0.0/16 -j ACCEPT\n-A K8S-FORWARD -d 10.42.0.0/16 -j ACCEPT\nCOMMIT\n",
		}},
		{"fd00:42::/48", false, []string{"-d ff00::/8 -j RETURN\n-A K8S-POSTROUTING -j MASQUERADE\n"}},
	} {
		got := string(rulesOf(prefixes(tc.cluster)[0], tc.random))
		for _, want := range tc.want {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
	}
}

func saved(t *testing.T) string {
	t.Helper()
	var lines []string
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		for _, table := range []string{"nat", "filter"} {
			for _, line := range strings.Split(output(t, program, "-t", table), "\n") {
				if !strings.HasPrefix(line, "#") {
					rule, _, _ := strings.Cut(line, " [") // counters
					lines = append(lines, rule)
				}
			}
		}
	}
	return strings.Join(lines, "\n")
}

func TestRulesAreThereOnceAndGoWhole(t *testing.T) {
	ownNetwork(t)
	variants(t, func(t *testing.T) {
		cluster := prefixes("10.42.0.0/16", "fd00:42::/48")
		output(t, "iptables", "-t", "nat", "-A", "POSTROUTING", "-m", "comment", "--comment", "somebody else's", "-j", "RETURN")
		output(t, "ip6tables", "-P", "FORWARD", "DROP")
		before := saved(t)
		must(t, ensureRules(cluster, programs))
		once := saved(t)
		must(t, ensureRules(cluster, programs))
		if got := saved(t); got != once {
			t.Errorf("a second time changes\n%s\nto\n%s", once, got)
		}
		output(t, "iptables", "-F", "FORWARD")
		output(t, "iptables", "-t", "nat", "-F", string(natChain))
		must(t, ensureRules(cluster, programs))
		if got := saved(t); got != once {
			t.Errorf("what was removed is not put right:\n%s\nnot\n%s", got, once)
		}
		for range 2 {
			if _, err := cleanup.RemoveChains(t.Context(), goneChains); err != nil {
				t.Error(err)
			}
		}
		if got := saved(t); got != before {
			t.Errorf("left\n%s\nnot\n%s", got, before)
		}
	})
}

func TestRulesThatCannotBeWrittenAreErrors(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := ensureRules(prefixes("10.42.0.0/16"), programs); err == nil || !strings.Contains(err.Error(), "write IPv4 rules") {
		t.Errorf("got %v", err)
	}
}

const portmap = `:PREROUTING ACCEPT [0:0]
:CNI-DN-0123 - [0:0]
:CNI-DN-4567 - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-HOSTPORT-MASQ - [0:0]
:CNI-HOSTPORT-SETMARK - [0:0]
:K8S-POSTROUTING - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A POSTROUTING -m comment --comment "pods of Kubernetes" -j K8S-POSTROUTING
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"k8s\" id: \"a\"" -m multiport --dports 80 -j CNI-DN-0123
-A CNI-DN-0123 -s 10.42.0.0/24 -p tcp -m tcp --dport 80 -j CNI-HOSTPORT-SETMARK`

func TestChainsThatGo(t *testing.T) {
	podman := `-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"podman\" id: \"b\"" -m multiport --dports 81 -j CNI-DN-4567`
	for name, tc := range map[string]struct{ table, want string }{
		"nothing of ours":       {":PREROUTING ACCEPT [0:0]", ""},
		"ours alone":            {portmap, "CNI-DN-0123 CNI-HOSTPORT-DNAT CNI-HOSTPORT-MASQ CNI-HOSTPORT-SETMARK K8S-POSTROUTING"},
		"another network's too": {portmap + "\n" + podman, "CNI-DN-0123 K8S-POSTROUTING"},
	} {
		if got := strings.Join(goneChains(strings.Split(tc.table, "\n")), " "); got != tc.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
}
