package containerd

import (
	"context"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"k8sbuild.dev/distribution/pkg/config"
)

// TestMain is also the containerd of the tests: this program under its name,
// which serves what Ready asks for.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "containerd" {
		os.Exit(containerd(os.Args[len(os.Args)-1]))
	}
	os.Exit(m.Run())
}

type answers struct{ cri.RuntimeServiceServer }

func (answers) Version(context.Context, *cri.VersionRequest) (*cri.VersionResponse, error) {
	return &cri.VersionResponse{RuntimeName: "test"}, nil
}

func containerd(configFile string) int {
	if _, err := os.Stat(filepath.Join(filepath.Dir(configFile), "broken")); err == nil {
		return 3
	}
	socket := layout{dir: filepath.Dir(configFile)}.socket()
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return 4
	}
	s := grpc.NewServer()
	cri.RegisterRuntimeServiceServer(s, answers{})
	go s.Serve(listener)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	return 0
}

// installed makes the folder of programs of which containerd is this program.
func installed(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "libexec", "k8s")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range programs {
		if err := os.Link(self, filepath.Join(dir, name)); err != nil {
			copyFile(t, self, filepath.Join(dir, name))
		}
	}
	return dir
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}

// short is a directory whose path leaves room for a socket.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctrd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newRuntime(t *testing.T, dir, libexec string) *Runtime {
	t.Helper()
	r, err := New(dir, libexec)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func started(t *testing.T, dir, libexec string) *Runtime {
	t.Helper()
	r := newRuntime(t, dir, libexec)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, r) })
	ready(t, r)
	return r
}

func stop(t *testing.T, r *Runtime) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// ready waits, as the manager of services does.
func ready(t *testing.T, r *Runtime) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for r.Ready(ctx) != nil {
		if ctx.Err() != nil {
			t.Fatal("containerd is not ready in time")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// killed is a runtime whose server was killed: nobody supervises it.
func killed(t *testing.T, dir, libexec string) *process {
	t.Helper()
	l := layout{dir: dir, libexec: libexec}
	left, err := l.start(l.config(machine(dir)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = left.end(context.Background()) })
	return left
}

func TestStartAndStop(t *testing.T) {
	r := started(t, short(t), installed(t))
	if want := "unix://" + r.layout.dir + "/containerd.sock"; r.Endpoint() != want || r.Name() != "containerd" {
		t.Errorf("%s serves %s, not %s", r.Name(), r.Endpoint(), want)
	}
	pid := r.running().pid
	stop(t, r)
	if _, err := startTime(pid); err == nil {
		t.Errorf("process %d runs on after the stop", pid)
	}
	r = newRuntime(t, short(t), installed(t))
	if err := r.Ready(t.Context()); err == nil {
		t.Error("ready before the start")
	}
	stop(t, r)
}

func TestSurvivorIsAdopted(t *testing.T) {
	dir, libexec := short(t), installed(t)
	left := killed(t, dir, libexec)
	r := started(t, dir, libexec)
	if got := r.running().pid; got != left.pid {
		t.Fatalf("process %d was left, %d runs now", left.pid, got)
	}
	// It is not our child, and is supervised all the same. The test reaps it.
	if err := syscall.Kill(left.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = left.reap()
	for now := left; now == nil || now.pid == left.pid; now = r.running() {
		time.Sleep(time.Millisecond)
	}
	ready(t, r)
}

func TestSurvivorIsReplaced(t *testing.T) {
	for name, change := range map[string]func(dir, libexec string) error{
		"another configuration": func(dir, _ string) error {
			return os.WriteFile(filepath.Join(dir, "config.toml"), nil, 0o600)
		},
		"another program": func(_, libexec string) error {
			path := filepath.Join(libexec, "containerd")
			if err := os.Remove(path); err != nil {
				return err
			}
			self, _ := os.Executable()
			data, err := os.ReadFile(self)
			if err != nil {
				return err
			}
			return os.WriteFile(path, data, 0o755)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, libexec := short(t), installed(t)
			left := killed(t, dir, libexec)
			if err := change(dir, libexec); err != nil {
				t.Fatal(err)
			}
			go left.reap()
			if r := started(t, dir, libexec); r.running().pid == left.pid {
				t.Error("adopted")
			}
		})
	}
}

func TestOthersAreLeftAlone(t *testing.T) {
	own, err := startTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no number": "x 1\n", "an id that came again": "1 0\n", "nobody": "4194304 1\n", "not containerd": "1 " + must(startTime(1)),
		"with other arguments": "self " + own,
	} {
		t.Run(name, func(t *testing.T) {
			l := layout{dir: t.TempDir()}
			if err := os.WriteFile(l.pidFile(), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if found, err := l.survivor(""); found != nil || err != nil {
				t.Errorf("found %v, %v", found, err)
			}
		})
	}
}

func must(text string, _ error) string { return text }

func TestRestartAfterAKill(t *testing.T) {
	r := started(t, short(t), installed(t))
	before := r.running().pid
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for now := r.running(); now == nil || now.pid == before; now = r.running() {
		time.Sleep(time.Millisecond)
	}
	ready(t, r)
}

func TestBrokenContainerdIsGivenUp(t *testing.T) {
	dir := short(t)
	if err := os.WriteFile(filepath.Join(dir, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRuntime(t, dir, installed(t))
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-r.Failed(); !strings.Contains(err.Error(), "ended 5 times") {
		t.Errorf("got %v", err)
	}
	stop(t, r)
}

func TestRefusals(t *testing.T) {
	libexec := installed(t)
	if _, err := New("/"+strings.Repeat("long/", 20), libexec); err == nil || !strings.Contains(err.Error(), "--data-dir: too long") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(filepath.Join(libexec, "runc")); err != nil {
		t.Fatal(err)
	}
	if _, err := New("/a", libexec); err == nil || !strings.Contains(err.Error(), "incomplete") {
		t.Errorf("got %v", err)
	}
	if _, err := newService(&config.Config{DataDir: "/a"}); err == nil || !strings.Contains(err.Error(), "--container-runtime-endpoint") {
		t.Errorf("got %v", err)
	}
}

func TestFind(t *testing.T) {
	libexec := installed(t)
	top := filepath.Dir(filepath.Dir(libexec))
	bin := filepath.Join(top, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(top, "k8s"), filepath.Join(bin, "k8s")} {
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if got, err := find(path); got != libexec || err != nil {
			t.Errorf("%s: found %s, %v", path, got, err)
		}
	}
	link := filepath.Join(t.TempDir(), "k8s")
	if err := os.Symlink(filepath.Join(bin, "k8s"), link); err != nil {
		t.Fatal(err)
	}
	if got, err := find(link); got != libexec || err != nil {
		t.Errorf("through a link: found %s, %v", got, err)
	}
	if _, err := find("/no/such/k8s"); err == nil {
		t.Error("found beside a program that is not there")
	}
}

func TestConfig(t *testing.T) {
	l := layout{dir: "/var/lib/k8s/containerd", libexec: `/opt/a "b"/libexec/k8s`}
	lines := strings.Split(l.config(conditions{restrictOOM: true, systemd: true, snapshotter: "native"}), "\n")
	for _, want := range []string{
		"version = 3", `root = "/var/lib/k8s/containerd/root"`, `address = "/var/lib/k8s/containerd/containerd.sock"`,
		`snapshotter = "native"`, `sandbox = "` + sandboxImage + `"`, "restrict_oom_score_adj = true", "SystemdCgroup = true",
		`bin_dir = "/opt/a \"b\"/libexec/k8s"`, `conf_dir = "/var/lib/k8s/cni/net.d"`,
		"use_internal_loopback = true",
		`BinaryName = "/opt/a \"b\"/libexec/k8s/runc"`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %s", want)
		}
	}
}

func TestUsersNetworkIsWhereOthersHaveIt(t *testing.T) {
	l := layout{dir: "/var/lib/k8s/containerd", libexec: "/a", usersNetwork: true}
	lines := strings.Split(l.config(conditions{}), "\n")
	for _, want := range []string{`bin_dir = "/opt/cni/bin"`, `conf_dir = "/etc/cni/net.d"`} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %s", want)
		}
	}
}
