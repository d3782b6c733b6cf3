package boot

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// frozen is a file system in a file, whose writes can be made to wait.
func frozen(t *testing.T) (dir string, freeze, thaw func()) {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	image, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	run := func(words ...string) error {
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		if err != nil {
			t.Logf("%s: %v: %s", strings.Join(words, " "), err, out)
		}
		return err
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 256<<20); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, dir}, {"fsfreeze", "--freeze", dir}, {"fsfreeze", "--unfreeze", dir}} {
		if err := run(words...); err != nil {
			t.Skipf("SKIPPED: %s does not work here, so NO storage is stuck: %v", words[0], err)
		}
		if words[0] == "mount" {
			t.Cleanup(func() { _ = run("umount", "--lazy", dir) })
		}
	}
	is := false
	set := func(to bool, flag string) func() {
		return func() {
			if is == to {
				return
			}
			if err := run("fsfreeze", flag, dir); err != nil {
				t.Fatal(err)
			}
			is = to
		}
	}
	thaw = set(false, "--unfreeze")
	t.Cleanup(thaw)
	return dir, set(true, "--freeze"), thaw
}

// TestWatchdogHearsNothingOfAStuckStorage stops the storage's disk. Writes wait;
// reads go on from memory, and the API server's own check with them, until the
// process waits for a page of that disk.
func TestWatchdogHearsNothingOfAStuckStorage(t *testing.T) {
	binary(t, "K8S_BINARY")
	dir, freeze, thaw := frozen(t)
	b := prepare(t, dir)
	b.env = []string{"WATCHDOG_USEC=8000000"}
	b.start()
	for range 2 {
		if got := b.told(time.Minute); got != "WATCHDOG=1" {
			t.Fatalf("got %q\n%s", got, b.tail())
		}
	}
	freeze()
	const why = "a write to the database does not end"
	for end := time.Now().Add(time.Minute); !strings.Contains(b.text(), why); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no word of %q\n%s", why, b.tail())
		}
	}
	for b.told(time.Millisecond) != "" {
		// what was said before
	}
	if got := b.told(10 * time.Second); got != "" {
		t.Errorf("got %q of a server that cannot write", got)
	}
	thaw()
	if got := b.told(time.Minute); got != "WATCHDOG=1" {
		t.Errorf("got %q of a server that can write again\n%s", got, b.tail())
	}
	b.stop()
}
