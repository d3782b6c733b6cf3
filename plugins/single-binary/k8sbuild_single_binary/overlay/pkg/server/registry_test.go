package server

import (
	"strings"
	"testing"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/service"
)

func nothing(*config.Config) (service.Service, error) { return nil, nil }

func full() *Registry {
	r := &Registry{}
	for _, role := range []Role{RoleProxy, RoleScheduler, RoleKubelet, RoleRuntime, RoleControllerManager, RoleStorage, RoleAPIServer, RoleCertificates} {
		r.Register(Component{Name: "the-" + string(role), Role: role, New: nothing})
	}
	return r
}

func names(components []Component) string {
	var names []string
	for _, c := range components {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

func TestOrder(t *testing.T) {
	for _, tc := range []struct {
		mode  config.Mode
		agent bool
		want  string
	}{
		{config.Single, true, "the-storage the-certificates the-apiserver the-controller-manager the-scheduler the-container-runtime the-kubelet the-proxy"},
		{config.Single, false, "the-storage the-certificates the-apiserver the-controller-manager the-scheduler"},
		{config.HA, false, "the-certificates the-apiserver the-controller-manager the-scheduler"},
	} {
		got, err := full().Components(&config.Config{ServerMode: tc.mode, DisableAgent: !tc.agent, Network: config.NoNetwork})
		if err != nil {
			t.Fatal(err)
		}
		if got := names(got); got != tc.want {
			t.Errorf("%s: got %v", tc.mode, got)
		}
	}
}

// TestPluginsComponents places what overlays of plugins bring.
func TestPluginsComponents(t *testing.T) {
	for _, tc := range []struct {
		name       string
		components []Component
		want       string
		err        string
	}{
		{"nothing asked for", []Component{{Name: "b"}, {Name: "a"}}, "the-storage the-certificates the-apiserver the-controller-manager the-scheduler a b", ""},
		{"after a name", []Component{{Name: "a", After: []string{"the-apiserver"}}}, "the-storage the-certificates the-apiserver the-controller-manager the-scheduler a", ""},
		{"between two roles", []Component{{Name: "kms", After: []string{"certificates"}, Before: []string{"apiserver"}}},
			"the-storage the-certificates kms the-apiserver the-controller-manager the-scheduler", ""},
		{"first of all", []Component{{Name: "a", Before: []string{"storage"}}}, "a the-storage the-certificates the-apiserver the-controller-manager the-scheduler", ""},
		{"after each other", []Component{{Name: "a", After: []string{"b"}}, {Name: "b"}, {Name: "c", Before: []string{"b", "apiserver"}}},
			"the-storage the-certificates c the-apiserver the-controller-manager the-scheduler b a", ""},
		{"after one that is left out", []Component{{Name: "a", After: []string{"the-kubelet", "proxy"}, Before: []string{"kubelet"}}},
			"the-storage the-certificates the-apiserver the-controller-manager the-scheduler a", ""},
		{"asked whether it is wanted", []Component{
			{Name: "a", Wanted: func(cfg *config.Config) bool { return !cfg.DisableAgent }},
			{Name: "b", Wanted: func(cfg *config.Config) bool { return cfg.DisableAgent }, After: []string{"a"}},
		}, "the-storage the-certificates the-apiserver the-controller-manager the-scheduler b", ""},
		{"an unknown one", []Component{{Name: "a", After: []string{"kms"}}}, "",
			`component "a" names "kms" in its start order, which is not built into this binary; there are a, the-apiserver, the-`},
		{"before an unknown one", []Component{{Name: "a", Before: []string{""}}}, "", `component "a" names "" in its start order`},
		{"itself", []Component{{Name: "a", After: []string{"a"}}}, "", "components wait for each other: a after a"},
		{"a circle with a role", []Component{{Name: "a", After: []string{"scheduler"}, Before: []string{"apiserver"}}, {Name: "b", After: []string{"a"}}}, "",
			"components wait for each other: the-apiserver after a after the-scheduler after the-controller-manager after the-apiserver"},
		{"a name twice", []Component{{Name: "a"}, {Name: "a"}}, "", `two components with the name "a" are built into this binary`},
	} {
		r := full()
		for _, c := range tc.components {
			c.New = nothing
			r.Register(c)
		}
		got, err := r.Components(&config.Config{ServerMode: config.Single, DisableAgent: true})
		if names(got) != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.HasPrefix(err.Error(), tc.err) {
			t.Errorf("%s: got %q, %v", tc.name, names(got), err)
		}
	}
}

func TestOptionalComponentIsLeftOut(t *testing.T) {
	t.Cleanup(func() { registry = Registry{} })
	Register(Component{Name: "policy", New: nothing, Optional: true})
	Register(Component{Name: "other", New: nothing})
	if got := strings.Join(Optional(), " "); got != "policy" {
		t.Errorf("got %q", got)
	}
	for disable, want := range map[string]string{"": "other policy", "policy": "other", "other": "other policy"} {
		r := full()
		r.components = append(r.components, registry.components...)
		got, err := r.Components(&config.Config{ServerMode: config.HA, DisableAgent: true, Disable: []string{disable}})
		if err != nil || !strings.HasSuffix(names(got), " the-scheduler "+want) {
			t.Errorf("%s: got %q, %v", disable, names(got), err)
		}
	}
}

func TestRoleThatNobodyHasIsNotWaitedFor(t *testing.T) {
	got, err := order([]Component{{Name: "a", After: []string{"kubelet"}}}, nil)
	if names(got) != "a" || err != nil {
		t.Errorf("got %q, %v", names(got), err)
	}
}

func TestNoStorage(t *testing.T) {
	r := &Registry{}
	_, err := r.Components(&config.Config{ServerMode: config.Single})
	if err == nil || !strings.Contains(err.Error(), "--server-mode=single needs a storage component") {
		t.Errorf("got %v", err)
	}
}

func TestNetworkThatIsAskedFor(t *testing.T) {
	r := full()
	for _, name := range []string{"mesh", "bridge"} {
		r.Register(Component{Name: name, Role: RoleNetwork, New: nothing})
	}
	for network, want := range map[string]string{
		"bridge": "the-container-runtime bridge the-kubelet the-proxy",
		"none":   "the-container-runtime the-kubelet the-proxy",
	} {
		got, err := r.Components(&config.Config{ServerMode: config.HA, Network: network})
		if err != nil || !strings.HasSuffix(names(got), " the-scheduler "+want) {
			t.Errorf("%s: got %s, %v", network, names(got), err)
		}
	}
}

func TestNetworksAreNamesOfTheFlag(t *testing.T) {
	t.Cleanup(func() { registry = Registry{} })
	Register(Component{Name: "bridge", Role: RoleNetwork, New: nothing})
	Register(Component{Name: "other", New: nothing})
	if names := strings.Join(Networks(), " "); names != "bridge" {
		t.Errorf("got %q", names)
	}
}

func TestMissingComponent(t *testing.T) {
	r := &Registry{}
	_, err := r.Components(&config.Config{ServerMode: config.HA})
	if err == nil || !strings.Contains(err.Error(), `role "certificates"`) {
		t.Errorf("got %v", err)
	}
}

func TestTwoStorages(t *testing.T) {
	r := full()
	r.Register(Component{Name: "another", Role: RoleStorage, New: nothing})
	_, err := r.Components(&config.Config{ServerMode: config.Single})
	if err == nil || !strings.Contains(err.Error(), "(the-storage, another)") {
		t.Errorf("got %v", err)
	}
}

func TestIncompleteComponentPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Register(Component{Name: "x", Role: "unknown", New: nothing})
}

func TestRuntimeOfTheUserIsTaken(t *testing.T) {
	got, err := full().Components(&config.Config{ServerMode: config.HA, ContainerRuntimeEndpoint: "unix:///a", Network: config.NoNetwork})
	if err != nil || !strings.HasSuffix(names(got), "the-scheduler the-kubelet the-proxy") {
		t.Errorf("got %s, %v", names(got), err)
	}
}

func TestNoRuntimeIsOneLine(t *testing.T) {
	r := &Registry{}
	for _, role := range []Role{RoleCertificates, RoleAPIServer, RoleControllerManager, RoleScheduler, RoleKubelet, RoleProxy} {
		r.Register(Component{Name: "the-" + string(role), Role: role, New: nothing})
	}
	_, err := r.Components(&config.Config{ServerMode: config.HA})
	if err == nil || !strings.Contains(err.Error(), "--container-runtime-endpoint") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
}
