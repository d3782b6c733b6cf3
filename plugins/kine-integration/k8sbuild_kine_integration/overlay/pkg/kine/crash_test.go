package kine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// victimDir makes the test binary a server on that data directory that writes
// until it is killed.
const victimDir = "KINE_TEST_VICTIM_DIR"

// beVictim prints each key once the storage has confirmed it, and nothing else.
func beVictim(dir string) {
	c := serve(dir)
	for n := 0; ; n++ {
		key := fmt.Sprintf("/registry/victim-%d-%d", os.Getpid(), n)
		if _, created, err := create(context.Background(), c, key, strings.Repeat("v", 2000)); err != nil || !created {
			panic(fmt.Sprint(key, created, err))
		}
		fmt.Println(key)
	}
}

// killVictim returns the keys that a server on dir confirmed before it was
// killed, which happens after at least n of them.
func killVictim(t *testing.T, dir string, n int) []string {
	t.Helper()
	var keys []string
	play(t, victimDir, dir, n, func(line string) {
		if !strings.HasPrefix(line, "/registry/victim-") {
			t.Errorf("the storage wrote to standard output: %q", line)
		}
		keys = append(keys, line)
	})
	return keys
}

func TestKilledServerLosesNothing(t *testing.T) {
	dir := t.TempDir()
	var keys []string
	for _, n := range []int{1, 7, 60} {
		keys = append(keys, killVictim(t, dir, n)...)
		if exists(t, filepath.Join(dir, "db", recordFile)) {
			t.Error("a killed server left the record of a clean stop")
		}
		if !exists(t, filepath.Join(dir, "db", socketFile)) {
			t.Error("no stale socket, so this test proves less than it should")
		}
	}
	c := client(t, started(t, dir))
	for _, key := range keys {
		mustGet(t, c, key)
	}
}

func TestCopyOfARunningDatabaseOpens(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	c := client(t, started(t, dir))
	mustCreate(t, c, "/registry/a", "1")
	// What a power cut leaves: file and log as they are, and no record.
	if err := os.CopyFS(filepath.Join(copied, "db"), onlyDatabase(t, dir)); err != nil {
		t.Fatal(err)
	}
	if got := mustGet(t, client(t, started(t, copied)), "/registry/a"); got != "1" {
		t.Errorf("value %q", got)
	}
}
