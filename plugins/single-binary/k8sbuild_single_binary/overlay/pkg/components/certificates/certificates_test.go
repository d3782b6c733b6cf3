package certificates

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/logs"
)

// run starts and stops the component and returns what it logged.
func run(t *testing.T, cfg *config.Config) string {
	t.Helper()
	var log bytes.Buffer
	if err := logs.Setup(&log, 0); err != nil {
		t.Fatal(err)
	}
	s, err := New(cfg)
	if err != nil || s.Name() != Name {
		t.Fatal(s, err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	klog.Flush()
	return log.String()
}

func TestFilesAreMadeOnce(t *testing.T) {
	cfg := componenttest.Configuration(t, config.Single)
	key := filepath.Join(cfg.TLSDir(), "service-account.key")
	if log := run(t, cfg); !strings.Contains(log, "Made certificates") || strings.Contains(log, "is lost") {
		t.Error(log)
	}
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if log := run(t, cfg); log != "" {
		t.Errorf("the second start says %s", log)
	}
	if after, err := os.ReadFile(key); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the service account's key is another one, %v", err)
	}
	if info, err := os.Stat(cfg.AdminKubeconfig()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
}

// The storage makes its files in between, which are no sign of an earlier run.
func TestLossIsSaidWhereAServerRanBefore(t *testing.T) {
	cfg := componenttest.Configuration(t, config.Single)
	if err := os.MkdirAll(cfg.DBDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := New(cfg)
	if err != nil || s.(*files).ranBefore {
		t.Error("an empty folder counts as an earlier run", err)
	}
	if err := os.WriteFile(filepath.Join(cfg.DBDir(), "state.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if log := run(t, cfg); !strings.Contains(log, "service-account.key is lost") {
		t.Error(log)
	}
}

func TestFileThatCannotBeWrittenFailsTheStart(t *testing.T) {
	cfg := componenttest.Configuration(t, config.Single)
	if err := os.WriteFile(cfg.TLSDir(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), cfg.TLSDir()) || s.Stop(t.Context()) != nil {
		t.Errorf("got %v", err)
	}
}
