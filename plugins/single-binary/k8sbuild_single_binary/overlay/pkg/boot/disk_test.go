package boot

import (
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestDiskThatCannotBeWritten gives the server file systems that hold nothing
// more: each is one last line with what could not be written, where and why.
func TestDiskThatCannotBeWritten(t *testing.T) {
	binary(t, "K8S_BINARY")
	for _, tc := range []struct {
		options string
		flags   uintptr
		want    string // of the line, DIR for the data directory
	}{
		{"size=4k", 0, "k8s: kine: start: start storage: write process id: write DIR/db/server.lock: no space left on device"},
		{"size=2m", 0, "k8s: kine: start: start storage: reserve 16 MiB for the database in DIR/db: no space left on device"},
		{"size=2m", syscall.MS_RDONLY, "k8s: disk: DIR is on a read-only disk; mount it so that it can be written, or give another directory with --data-dir"},
	} {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", tc.flags, tc.options); err != nil {
			t.Skipf("SKIPPED: a small file system cannot be mounted here: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		b := prepare(t, dir)
		out, err := exec.Command(binary(t, "K8S_BINARY"), b.args...).CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		want := strings.ReplaceAll(tc.want, "DIR", dir)
		if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 || lines[len(lines)-1] != want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", tc.options, err, lines[len(lines)-1], want)
		}
		if len(lines) > 5 {
			t.Errorf("%s: %d lines", tc.options, len(lines))
		}
	}
}
