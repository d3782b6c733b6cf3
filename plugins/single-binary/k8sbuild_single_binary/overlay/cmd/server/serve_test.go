package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/logs"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

func configuration(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.DisableAgent = t.TempDir(), true
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// The hook that Kubernetes' packages call in place of os.Exit.
func TestExitIsTheFailureOfTheComponentThatCallsIt(t *testing.T) {
	old := klog.OsExit
	defer func() { klog.OsExit = old }()
	manager := service.NewManager()
	holdExits(manager)
	ready := func(context.Context) error { return nil }
	fatal := &service.Runner{
		Component: "kube-x", IsReady: ready,
		Run: func(ctx context.Context) error {
			logs.Do(ctx, "kube-x", func(context.Context) {
				go func() {
					klog.OsExit(3)
					t.Error("goes on")
				}()
			})
			<-ctx.Done()
			return nil
		},
	}
	err := manager.Run(t.Context(), []service.Service{fatal})
	if err == nil || !strings.HasPrefix(err.Error(), "kube-x: asked for the end of the process with code 3") {
		t.Errorf("got %v", err)
	}
}

type storage struct{ service.Runner }

func (*storage) Endpoints() []string { return []string{"unix:///the.sock"} }

func TestStorageGivesTheEndpoints(t *testing.T) {
	cfg := configuration(t)
	made := func(*config.Config) (service.Service, error) {
		return &storage{service.Runner{Component: "s", Run: func(context.Context) error { return nil }}}, nil
	}
	services, err := makeServices(cfg, []server.Component{{Name: "s", Role: server.RoleStorage, New: made}})
	if err != nil || len(services) != 1 {
		t.Fatal(services, err)
	}
	if got := cfg.StorageEndpoints(); len(got) != 1 || got[0] != "unix:///the.sock" {
		t.Errorf("got %v", got)
	}
	if err := services[0].Start(t.Context()); err != nil {
		t.Error(err)
	}
	broken := func(*config.Config) (service.Service, error) { return nil, errors.New("no") }
	if _, err := makeServices(cfg, []server.Component{{Name: "b", New: broken}}); err == nil || err.Error() != "b: no" {
		t.Errorf("got %v", err)
	}
}

func TestFilesAreMadeOnce(t *testing.T) {
	cfg := configuration(t)
	key := filepath.Join(cfg.TLSDir(), "service-account.key")
	var before []byte
	for range 2 {
		if err := ensureFiles(cfg); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(key)
		if err != nil || (before != nil && string(before) != string(data)) {
			t.Errorf("the service account's key is another one, %v", err)
		}
		before = data
	}
	if info, err := os.Stat(cfg.AdminKubeconfig()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	renew(ctx, cfg)
}

func TestUsersGCIsLeftAlone(t *testing.T) {
	t.Setenv("GOGC", "100")
	startupGC()()
}
