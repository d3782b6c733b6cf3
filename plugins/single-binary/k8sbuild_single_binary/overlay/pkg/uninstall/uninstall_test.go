package uninstall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/install"
	"k8sbuild.dev/distribution/pkg/lock"
)

// asServer is set in the process that is the tests' server.
const asServer = "K8S_TEST_SERVER"

func TestMain(m *testing.M) {
	dir := os.Getenv(asServer)
	if dir == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	held, err := lock.Acquire(dir)
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	<-ctx.Done()
	stop()
	_ = held.Release()
}

// server runs a server of the data directory.
func server(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asServer+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

type fakeSystemd struct {
	asked []string
	fails error
}

func (f *fakeSystemd) disable(_ context.Context, unit string) error {
	f.asked = append(f.asked, "disable "+filepath.Base(unit))
	return f.fails
}

func (f *fakeSystemd) reload(context.Context) error {
	f.asked = append(f.asked, "reload")
	return nil
}

// The cleanup of the tests, which the process has once.
var cleaned struct {
	dirs  []string
	fails error
}

func init() {
	cleanup.Register("tests", func(_ context.Context, cfg *config.Config) error {
		cleaned.dirs = append(cleaned.dirs, cfg.DataDir)
		return cleaned.fails
	})
}

func options(t *testing.T) (Options, *fakeSystemd, *bytes.Buffer) {
	t.Helper()
	cleaned.dirs, cleaned.fails = nil, nil
	said, systemd := &bytes.Buffer{}, &fakeSystemd{}
	root := t.TempDir()
	cfg := config.Default()
	cfg.DataDir = filepath.Join(root, "data")
	for _, path := range []string{"data/server.lock", "data/db/state.db", "usr/local/bin/k8s", "etc/default/k8s", "etc/systemd/system/k8s.service"} {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return Options{
		Config: cfg, Layout: install.Layout{Root: root}, systemd: systemd,
		Told: func(line string) { fmt.Fprintln(said, line) },
	}, systemd, said
}

func exists(t *testing.T, o Options, name string) bool {
	t.Helper()
	_, err := os.Stat(filepath.Join(o.Layout.Root, name))
	return err == nil
}

func TestEverythingGoes(t *testing.T) {
	o, systemd, said := options(t)
	cmd := server(t, o.Config.DataDir)
	go cmd.Wait()
	for range 2 {
		if err := o.run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"data", "usr/local/bin/k8s", "etc/default/k8s", "etc/systemd/system/k8s.service"} {
		if exists(t, o, name) {
			t.Error("left ", name)
		}
	}
	if want := fmt.Sprintf("stopped the server (pid %d)\ncleaned up after tests\nremoved %s\n", cmd.Process.Pid, o.Config.DataDir); !strings.HasPrefix(said.String(), want) {
		t.Errorf("said %s", said)
	}
	if !slices.Equal(systemd.asked[:2], []string{"disable k8s.service", "reload"}) || len(cleaned.dirs) != 2 {
		t.Errorf("asked %q, cleaned %q", systemd.asked, cleaned.dirs)
	}
}

func TestDataAndSettingsMayStay(t *testing.T) {
	o, _, _ := options(t)
	o.KeepData = true
	if err := o.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, stays := range map[string]bool{"data/db/state.db": true, "etc/default/k8s": true, "usr/local/bin/k8s": false} {
		if exists(t, o, name) != stays {
			t.Errorf("%s stays: %t", name, !stays)
		}
	}
}

func TestDataStayWhereSomethingMayUseThem(t *testing.T) {
	for want, spoil := range map[string]func(*Options, *fakeSystemd){
		"tests: no way\nThe data in ":  func(*Options, *fakeSystemd) { cleaned.fails = errors.New("no way") },
		"systemd does not answer":      func(_ *Options, s *fakeSystemd) { s.fails = errors.New("systemd does not answer") },
		"is no data directory of a se": func(o *Options, _ *fakeSystemd) { _ = os.Remove(o.Config.Path(lock.FileName)) },
	} {
		o, systemd, _ := options(t)
		spoil(&o, systemd)
		if err := o.run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if !exists(t, o, "data/db/state.db") || !exists(t, o, "usr/local/bin/k8s") {
			t.Errorf("%s: something is gone", want)
		}
	}
}

func TestWhatIsADataDirectory(t *testing.T) {
	o, _, _ := options(t)
	for _, name := range []string{"images", ""} {
		o.Config.DataDir = filepath.Join(t.TempDir(), "data")
		if err := os.MkdirAll(o.Config.Path(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := o.isOurs(); err != nil {
			t.Error(err)
		}
	}
	// Somebody's home has such a folder as well.
	if err := os.MkdirAll(o.Config.Path("images"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Config.Path("letter"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := o.isOurs(); err == nil {
		t.Error("a folder with other files is taken for ours")
	}
}

func TestAnotherRootHasFilesAlone(t *testing.T) {
	o, systemd, _ := options(t)
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if exists(t, o, "usr/local/bin/k8s") || !exists(t, o, "data/db/state.db") || len(systemd.asked) > 0 || len(cleaned.dirs) > 0 {
		t.Errorf("asked %q, cleaned %q", systemd.asked, cleaned.dirs)
	}
}

func TestAMachineWithoutTheUnitIsNotAsked(t *testing.T) {
	if err := (machine{}).disable(t.Context(), filepath.Join(t.TempDir(), "k8s.service")); err != nil {
		t.Error(err)
	}
}
