package kine

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8sbuild.dev/distribution/pkg/lock"
)

// A fault is what people and disks do to the files of a server that does not run.
// It ends in a start that has all, or in one that is refused in a line.
type fault struct {
	killed  bool // the server was not stopped in order
	do      func(t *testing.T, path string)
	refused string // what the line says, nothing if all is there
}

var faults = map[string]fault{
	"log deleted after a clean stop":   {do: func(t *testing.T, path string) { remove(t, path+"-wal") }},
	"index deleted after a clean stop": {do: func(t *testing.T, path string) { remove(t, path+"-shm") }},
	"log deleted after a kill":         {killed: true, do: func(t *testing.T, path string) { remove(t, path+"-wal") }, refused: "its log state.db-wal is gone"},
	"index deleted after a kill":       {killed: true, do: func(t *testing.T, path string) { remove(t, path+"-shm") }},
	"bits of the index flipped":        {killed: true, do: func(t *testing.T, path string) { flip(t, path+"-shm", 0, 4096) }},
	"database deleted after a kill":    {killed: true, do: func(t *testing.T, path string) { remove(t, path) }, refused: "is empty or gone"},
	"all deleted but what says it is open": {killed: true, refused: "is empty or gone", do: func(t *testing.T, path string) {
		remove(t, path)
		remove(t, path+"-wal")
	}},
	"cut in the middle":          {do: func(t *testing.T, path string) { cut(t, path, 2) }, refused: "is damaged"},
	"cut to nothing":             {do: func(t *testing.T, path string) { cut(t, path, 1<<40) }, refused: "is damaged"},
	"bits of the header flipped": {do: func(t *testing.T, path string) { flip(t, path, 0, 20) }, refused: "is damaged"},
	"bits of a page flipped":     {do: func(t *testing.T, path string) { flip(t, path, 5*pageSize, 5*pageSize+200) }, refused: "is damaged"},
	"a read-only file":           {do: readOnly, refused: "read-only file system"},
	"a read-only folder":         {do: func(t *testing.T, path string) { readOnly(t, filepath.Dir(path)) }, refused: "read-only file system"},
	"a lock of a dead process":   {killed: true, do: lockOf(1 << 22)}, // above the kernel's largest id
	"a lock of somebody else":    {killed: true, do: lockOf(1)},
	"clock set back by a day":    {do: func(t *testing.T, path string) { age(t, path, -24*time.Hour) }},
	"clock set forward by a day": {do: func(t *testing.T, path string) { age(t, path, 24*time.Hour) }},
}

func TestChaosFaults(t *testing.T) {
	taken := map[int64]string{}
	refused, losses := 0, 0
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			dir, of := t.TempDir(), map[string]step{}
			clear(taken) // each is a cluster of its own
			prefix := confirmed(t, loadedDir, dir, 300, of, taken).keys
			if !f.killed {
				stop(t, running(t, dir))
			}
			f.do(t, database(dir))
			if f.refused != "" {
				refusedStart(t, dir, f.refused)
				refused++
				return
			}
			for _, line := range lost(t, dir, prefix, of) {
				losses++
				t.Error(line)
			}
			mustCreate(t, client(t, started(t, dir)), "/registry/after", "1")
		})
	}
	t.Attr("faults", strconv.Itoa(len(faults)))
	t.Attr("faults-refused-in-a-line", strconv.Itoa(refused))
	t.Attr("faults-keys-lost", strconv.Itoa(losses))
}

// refusedStart wants that a start on dir fails each time, with one line.
func refusedStart(t *testing.T, dir, want string) {
	t.Helper()
	for range 2 {
		err := newStorage(t, dir).Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v", err)
		}
	}
}

// TestLogThatIsGoneCanBeDoneWithout does what the refusal says.
func TestLogThatIsGoneCanBeDoneWithout(t *testing.T) {
	dir := t.TempDir()
	confirmed(t, loadedDir, dir, 50, map[string]step{}, map[int64]string{})
	remove(t, database(dir)+"-wal")
	refusedStart(t, dir, "to do without, remove "+openFile)
	remove(t, filepath.Join(filepath.Dir(database(dir)), openFile))
	mustCreate(t, client(t, started(t, dir)), "/registry/after", "1")
}

// lockOf leaves the lock file of a process behind.
func lockOf(pid int) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), lock.FileName), fmt.Appendln(nil, pid), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// readOnly makes a path one that cannot be written until the test ends, which only root can.
func readOnly(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mount(path, path, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("SKIPPED: nothing can be mounted read-only here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(path, syscall.MNT_DETACH) })
	if err := syscall.Mount("", path, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// cut shortens the file to a part of its size.
func cut(t *testing.T, path string, part int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()/part)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, path string, from, to int64) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := from; n < to; n++ {
		content[n] ^= 0x55
	}
	if err := os.WriteFile(path, content, fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
}

func age(t *testing.T, path string, by time.Duration) {
	t.Helper()
	at := time.Now().Add(by)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}
