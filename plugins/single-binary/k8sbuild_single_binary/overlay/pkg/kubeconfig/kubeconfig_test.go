package kubeconfig

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/config"
)

func cluster(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.AdvertiseAddress = t.TempDir(), "192.0.2.7"
	if _, err := certs.EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestClusterKubeconfigs(t *testing.T) {
	cfg := cluster(t)
	cfg.WriteKubeconfig = filepath.Join(t.TempDir(), "new", "config")
	cfg.WriteKubeconfigMode = "0640"
	if err := EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		mode os.FileMode
		text string
	}{
		cfg.AdminKubeconfig():              {0o600, `"client-certificate": "` + cfg.TLSDir()},
		Path(cfg, certs.ControllerManager): {0o600, `"server": "https://127.0.0.1:6443"`},
		Path(cfg, certs.Scheduler):         {0o600, `client-kube-scheduler.key"`},
		cfg.WriteKubeconfig:                {0o640, `"client-key-data": "`},
	} {
		data, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || info.Mode() != want.mode || !strings.Contains(string(data), want.text) || !json.Valid(data) {
			t.Errorf("%s: %v %v\n%s", path, err, info, data)
		}
	}
}

func TestUnchangedFileIsLeftAlone(t *testing.T) {
	cfg := cluster(t)
	if err := EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(cfg.AdminKubeconfig(), old, old); err != nil {
		t.Fatal(err)
	}
	if err := EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(cfg.AdminKubeconfig()); !info.ModTime().Equal(old) {
		t.Error("written again")
	}
	cfg.HTTPSListenPort = 7443
	if err := EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(cfg.AdminKubeconfig()); !strings.Contains(string(data), "127.0.0.1:7443") {
		t.Errorf("the port has not followed: %s", data)
	}
}

func TestErrors(t *testing.T) {
	cfg := cluster(t)
	cfg.WriteKubeconfig, cfg.WriteKubeconfigMode = filepath.Join(t.TempDir(), "c"), "x"
	if err := EnsureCluster(cfg); err == nil {
		t.Error("no error for a wrong mode")
	}
	if err := (Client{CAFile: "/missing"}).WriteEmbedded(cfg.WriteKubeconfig, 0o600); err == nil {
		t.Error("no error for a missing file")
	}
	if err := (Client{}).Write(filepath.Join(cfg.AdminKubeconfig(), "below", "a", "file")); err == nil {
		t.Error("no error for a file as directory")
	}
}
