package kine

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

func TestLogStaysShortUnderLoad(t *testing.T) {
	const clients, each, limit = 8, 150, 64 * mebibyte
	dir := t.TempDir()
	c := client(t, started(t, dir))
	value := strings.Repeat("v", 32*1024)
	var group sync.WaitGroup
	var mu sync.Mutex
	longest := int64(0)
	for n := range clients {
		group.Go(func() {
			for i := range each {
				mustCreate(t, c, fmt.Sprintf("/registry/%d/%d", n, i), value)
				info, err := os.Stat(database(dir) + "-wal")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				longest = max(longest, info.Size())
				mu.Unlock()
			}
		})
	}
	group.Wait()
	written := int64(clients * each * len(value))
	if longest > limit || longest >= written {
		t.Errorf("the log had %d MiB after %d MiB were written", longest/mebibyte, written/mebibyte)
	}
	t.Logf("at most %d MiB of log for %d MiB", longest/mebibyte, written/mebibyte)
}

// TestLogGrowsInSteps holds the log to having room for what comes, so that most syncs change no file's length.
func TestLogGrowsInSteps(t *testing.T) {
	dir := t.TempDir()
	c := client(t, started(t, dir))
	for n := range 3 {
		mustCreate(t, c, fmt.Sprintf("/registry/%d", n), strings.Repeat("v", 400*1024))
		info, err := os.Stat(database(dir) + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() == 0 || info.Size()%mebibyte != 0 {
			t.Errorf("the log has %d bytes", info.Size())
		}
	}
}

func TestCheckpointerTurnsTheLog(t *testing.T) {
	backend, dialect := bareBackend(t, "")
	path := ""
	if err := dialect.DB.QueryRow("SELECT file FROM pragma_database_list").Scan(&path); err != nil {
		t.Fatal(err)
	}
	c, err := newCheckpointer(t.Context(), dialect.DB, path, dialect)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	turned := false // not while Kine itself reads what was written before
	for n := 0; n < 50 && !turned; n++ {
		if _, err := backend.Create(t.Context(), fmt.Sprintf("/registry/%d", n), []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
		if err := c.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		logged, moved, err := c.checkpoint(t.Context(), "PASSIVE")
		if err != nil {
			t.Fatal(err)
		}
		// A log that begins anew with each turn holds one write, of some pages; the first holds the tables as well.
		turned = n > 0 && logged == moved && logged <= 15
	}
	if !turned {
		t.Error("the log never begins anew")
	}
	c.log += "-gone"
	if err := c.turn(t.Context()); err != nil {
		t.Errorf("no log: %v", err)
	}
}
