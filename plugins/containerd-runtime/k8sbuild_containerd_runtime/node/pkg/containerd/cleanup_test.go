package containerd

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/config"
)

func TestCleanEndsWhatOutlivesTheServer(t *testing.T) {
	data := short(t)
	cfg := config.Default()
	cfg.DataDir = data
	l := layout{dir: cfg.Path("containerd"), libexec: installed(t)}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	left := killed(t, l.dir, l.libexec)
	// A shell under the shim's name, with the process of a container below it.
	shim := exec.Command("sh", "-c", "sleep 300 & wait", "-namespace", "k8s.io", "-address", l.socket())
	shim.Args[0] = l.program("containerd-shim-runc-v2")
	if err := shim.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = shim.Wait(); close(ended) }()
	socket := filepath.Join(data, "run", "s", "1")
	bundle := l.path("state/io.containerd.runtime.v2.task/k8s.io/1/bootstrap.json")
	for path, text := range map[string]string{socket: "", bundle: `{"address": "unix://` + socket + `"}`} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := clean(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	<-ended
	all, err := cleanup.Processes()
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(all, func(p cleanup.Process) bool { return p.PID == left.pid && len(p.Args) > 0 || l.isShim(p) }) {
		t.Error("something runs on")
	}
	if _, err := os.Stat(filepath.Join(data, "run")); err == nil {
		t.Error("the shim's socket is left")
	}
}

func TestOthersShims(t *testing.T) {
	l := layout{dir: "/var/lib/k8s/containerd"}
	for _, args := range [][]string{
		nil,
		{"/usr/bin/containerd-shim-runc-v2", "-address", "/run/containerd/containerd.sock"},
		{"/usr/bin/containerd-shim-runc-v2", "-address"},
		{"tail", "-address", l.socket()},
	} {
		if l.isShim(cleanup.Process{Args: args}) {
			t.Errorf("%q is none of ours", args)
		}
	}
}

func TestNetworksForgetOurPodsAlone(t *testing.T) {
	data, cni := short(t), filepath.Join(t.TempDir(), "cni")
	l := layout{dir: filepath.Join(data, "containerd")}
	put := func(path, text string) string {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put(l.path("root/io.containerd.grpc.v1.cri/sandboxes/ours/x"), "")
	ours := []string{
		put(filepath.Join(cni, "results", "k8s-ours-eth0"), `{"kind": "cniCacheV1", "containerId": "ours"}`),
		put(filepath.Join(cni, "networks", "n", "10.42.0.2"), "ours\r\neth0"),
	}
	theirs := put(filepath.Join(cni, "networks", "n", "10.42.0.3"), "theirs\r\neth0")
	if err := forget(cni, l.sandboxes()); err != nil {
		t.Fatal(err)
	}
	for _, file := range ours {
		if _, err := os.Stat(file); err == nil {
			t.Error("left ", file)
		}
	}
	if _, err := os.Stat(theirs); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(cni, "results")); err == nil {
		t.Error("left an empty folder")
	}
	if err := forget(cni+"-none", l.sandboxes()); err != nil {
		t.Error(err)
	}
}
