package server

import (
	"slices"
	"strings"
	"testing"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/service"
)

func nothing(*config.Config) (service.Service, error) { return nil, nil }

func full() *Registry {
	r := &Registry{}
	for _, role := range []Role{RoleProxy, RoleScheduler, RoleKubelet, RoleControllerManager, RoleStorage, RoleAPIServer, RoleCertificates} {
		r.Register(Component{Name: "the-" + string(role), Role: role, New: nothing})
	}
	return r
}

func TestOrder(t *testing.T) {
	for _, tc := range []struct {
		mode  config.Mode
		agent bool
		want  string
	}{
		{config.Single, true, "the-storage the-certificates the-apiserver the-controller-manager the-scheduler the-kubelet the-proxy"},
		{config.Single, false, "the-storage the-certificates the-apiserver the-controller-manager the-scheduler"},
		{config.HA, false, "the-certificates the-apiserver the-controller-manager the-scheduler"},
	} {
		got, err := full().Components(&config.Config{ServerMode: tc.mode, DisableAgent: !tc.agent})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range got {
			names = append(names, c.Name)
		}
		if !slices.Equal(names, strings.Fields(tc.want)) {
			t.Errorf("%s: got %v", tc.mode, names)
		}
	}
}

func TestNoStorage(t *testing.T) {
	r := &Registry{}
	_, err := r.Components(&config.Config{ServerMode: config.Single})
	if err == nil || !strings.Contains(err.Error(), "--server-mode=single needs a storage component") {
		t.Errorf("got %v", err)
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
