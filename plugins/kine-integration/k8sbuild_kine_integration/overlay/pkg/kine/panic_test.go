package kine

import (
	"strings"
	"sync/atomic"
	"testing"
)

const (
	// panickingDir makes the test binary a server under load on that data directory,
	// in which something else panics.
	panickingDir = "KINE_TEST_PANICKING_DIR"
	// panicAfter is how many confirmed writes there are before that.
	panicAfter = 500
)

// bePanicking is what a panic of a component is for the storage in its process:
// no deferred call but those of the goroutine that panics, and the end.
func bePanicking(dir string) {
	var writes atomic.Int64
	enough := make(chan struct{})
	keepWriting(serve(dir), func() {
		if writes.Add(1) == panicAfter {
			close(enough)
		}
	})
	go func() {
		<-enough
		panic("a component fails in a way that it does not know")
	}()
	select {}
}

func TestStorageSurvivesAPanicOfAComponent(t *testing.T) {
	dir, taken := t.TempDir(), map[int64]string{}
	for range 3 {
		of := map[string]step{}
		ended := confirmed(t, panickingDir, dir, 0, of, taken)
		if ended.code != 2 || !strings.Contains(ended.failure, "panic: a component fails") || ended.lines < panicAfter {
			t.Fatalf("exit code %d after %d writes:\n%s", ended.code, ended.lines, ended.failure)
		}
		for _, line := range lost(t, dir, ended.keys, of) {
			t.Error(line)
		}
	}
}
