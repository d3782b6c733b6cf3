package cleanup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k8sbuild.dev/distribution/pkg/config"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEachCleanupRuns(t *testing.T) {
	var r registry
	var ran, told []string
	for _, name := range []string{"first", "broken", "last"} {
		r.register(name, func(_ context.Context, cfg *config.Config) error {
			ran = append(ran, name+" "+cfg.DataDir)
			if name == "broken" {
				return errors.New("no way")
			}
			return nil
		})
	}
	err := r.run(t.Context(), &config.Config{DataDir: "/d"}, func(name string, err error) { told = append(told, fmt.Sprint(name, " ", err)) })
	if err == nil || err.Error() != "broken: no way" {
		t.Errorf("got %v", err)
	}
	if !slices.Equal(ran, []string{"first /d", "broken /d", "last /d"}) || !slices.Equal(told, []string{"first <nil>", "broken no way", "last <nil>"}) {
		t.Errorf("ran %q, told %q", ran, told)
	}
}

func TestTheProcessHasOne(t *testing.T) {
	ran := false
	Register("of the test", func(context.Context, *config.Config) error { ran = true; return nil })
	if err := Run(t.Context(), config.Default(), func(string, error) {}); err != nil || !ran {
		t.Errorf("got %v, ran %t", err, ran)
	}
}

func TestMountsBelowAFolder(t *testing.T) {
	dir := t.TempDir()
	info := write(t, filepath.Join(dir, "mountinfo"), strings.Join([]string{
		"21 1 0:1 / / rw - ext4 /dev/sda rw",
		"22 21 0:2 / /data rw - ext4 /dev/sdb rw",
		`23 22 0:3 / /data/a\040b rw - tmpfs none rw`,
		`24 23 0:4 / /data/a\040b/c rw - tmpfs none rw`,
		"25 21 0:5 / /database rw - tmpfs none rw",
		"broken", "",
	}, "\n"))
	var unmounted []string
	n, err := unmountBelow(info, "/data", func(path string) error {
		unmounted = append(unmounted, path)
		switch path {
		case "/data/a b/c":
			return unix.EINVAL // it went with another one
		default:
			return unix.EPERM
		}
	})
	if n != 2 || !slices.Equal(unmounted, []string{"/data/a b/c", "/data/a b"}) {
		t.Errorf("unmounted %d: %q", n, unmounted)
	}
	if err == nil || err.Error() != "unmount /data/a b: operation not permitted" {
		t.Errorf("got %v", err)
	}
	if _, err := unmountBelow(info+"-none", "/", nil); err == nil {
		t.Error("no error without the file")
	}
	if got, err := MountsBelow("/"); err != nil || !slices.Contains(got, "/proc") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestMountsAreUnmounted(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		t.Skipf("SKIPPED: mounting needs root: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	below := filepath.Join(dir, "below it")
	if err := errors.Join(os.Mkdir(below, 0o700), unix.Mount("none", below, "tmpfs", 0, "")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "x", "file"), "")
	if n, err := UnmountBelow(dir); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if left, err := MountsBelow(dir); len(left) > 0 || err != nil {
		t.Errorf("left %q, %v", left, err)
	}
	// A disk of the user's at the place itself stays, without its files.
	if err := RemoveTree(dir); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left %v, %v", entries, err)
	}
}

func TestTreesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tree", "a", "b"), "")
	for range 2 {
		if err := RemoveTree(filepath.Join(dir, "tree")); err != nil {
			t.Error(err)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("left %v", entries)
	}
	if err := RemoveTree("/proc/self/fdinfo"); err == nil {
		t.Error("no error for what cannot be removed")
	}
}

func TestCgroupsAreRemovedOfEachTree(t *testing.T) {
	root := t.TempDir()
	for _, group := range []string{"pods/besteffort/pod1", "cpu/pods/pod1", "cpu/other", "memory/pods"} {
		if err := os.MkdirAll(filepath.Join(root, group), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	n, err := RemoveCgroups(root, "pods", "pods.slice")
	if n != 6 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	left, _ := filepath.Glob(filepath.Join(root, "*", "*"))
	if !slices.Equal(left, []string{filepath.Join(root, "cpu", "other")}) {
		t.Errorf("left %q", left)
	}
	write(t, filepath.Join(root, "pods", "no-group"), "")
	if _, err := RemoveCgroups(root, "pods"); err == nil || !strings.Contains(err.Error(), "remove the control group") {
		t.Errorf("got %v", err)
	}
}

// sleeper starts a process with a child, both with the mark among their arguments.
func sleeper(t *testing.T, mark string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", "trap '' TERM; sleep 300 & wait; wait", mark)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); _ = cmd.Wait() })
	return cmd
}

func marked(mark string) func(Process) bool {
	return func(p Process) bool { return slices.Contains(p.Args, mark) }
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no " + what)
		}
	}
}

func TestDescendantsAreKilledToo(t *testing.T) {
	mark := "mark-" + strconv.Itoa(os.Getpid())
	cmd := sleeper(t, mark)
	below := func() []Process {
		all, err := Processes()
		if err != nil {
			t.Fatal(err)
		}
		return Below(all, marked(mark))
	}
	waitFor(t, "child", func() bool { return len(below()) == 2 })
	// The parent is our child, and is there until it is waited for.
	go cmd.Wait()
	if n, err := KillBelow(t.Context(), marked(mark)); n < 2 || err != nil {
		t.Errorf("killed %d, %v", n, err)
	}
	if left := below(); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if n, err := KillBelow(t.Context(), marked(mark)); n != 0 || err != nil {
		t.Errorf("killed %d again, %v", n, err)
	}
}

func TestOneThatDoesNotEndIsKilled(t *testing.T) {
	cmd := sleeper(t, "deaf")
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	// It may not have set its trap yet, and then the first signal ends it.
	if err := End(t.Context(), cmd.Process.Pid, 300*time.Millisecond); err != nil {
		t.Error(err)
	}
	<-ended
	if err := End(t.Context(), cmd.Process.Pid, time.Second); err != nil {
		t.Errorf("one that is gone: %v", err)
	}
}

func TestWhoGivesUpWaitingDoesNotKill(t *testing.T) {
	cmd := sleeper(t, "patient")
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := End(ctx, cmd.Process.Pid, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := End(t.Context(), cmd.Process.Pid, time.Millisecond); err != nil {
		t.Error(err)
	}
	<-ended
}

func TestWhatIsNoProcess(t *testing.T) {
	proc := t.TempDir()
	write(t, filepath.Join(proc, "7", "stat"), "7 (a (b) c) S 3 7 7 0")
	write(t, filepath.Join(proc, "7", "cmdline"), "a\x00-b\x00")
	write(t, filepath.Join(proc, "8", "stat"), "8 (kthread) S 2")
	write(t, filepath.Join(proc, "8", "cmdline"), "")
	write(t, filepath.Join(proc, "9", "stat"), "9 (short)")
	write(t, filepath.Join(proc, "10", "stat"), "10 (odd) S x")
	write(t, filepath.Join(proc, "11", "stat"), "11 (gone) S 1")
	write(t, filepath.Join(proc, "version"), "")
	got, err := processes(proc)
	if err != nil || len(got) != 2 || !slices.ContainsFunc(got, func(p Process) bool {
		return p.PID == 7 && p.Parent == 3 && slices.Equal(p.Args, []string{"a", "-b"})
	}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := processes(proc + "-none"); err == nil {
		t.Error("no error without /proc")
	}
}
