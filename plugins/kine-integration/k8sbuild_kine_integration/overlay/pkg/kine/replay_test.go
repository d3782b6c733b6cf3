package kine

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// disk is what a power cut may leave of files: what was synced is there, of what
// came later any part.
type disk struct {
	synced  map[string][]byte
	pending map[string][]event
}

func (d *disk) apply(e event) {
	switch e.kind {
	case "write", "truncate":
		d.pending[e.file] = append(d.pending[e.file], e)
	case "sync":
		for _, p := range d.pending[e.file] {
			d.synced[e.file] = applied(d.synced[e.file], p)
		}
		delete(d.pending, e.file)
	case "delete": // the directory is synced, or the file is as good as empty
		delete(d.synced, e.file)
		delete(d.pending, e.file)
	}
}

func applied(content []byte, e event) []byte {
	if e.kind == "truncate" {
		return append([]byte(nil), content[:min(int64(len(content)), e.offset)]...)
	}
	end := int(e.offset) + len(e.data)
	grown := append([]byte(nil), content...)
	if len(grown) < end {
		grown = append(grown, make([]byte, end-len(grown))...)
	}
	copy(grown[e.offset:], e.data)
	return grown
}

// left are files after a power cut: of what was not synced, keep says for each
// event how many of its bytes got to the disk.
func (d *disk) left(keep func(event) int) map[string][]byte {
	files := map[string][]byte{}
	for name, content := range d.synced {
		files[name] = content
	}
	for name, events := range d.pending {
		for _, e := range events {
			n := keep(e)
			if e.kind == "write" {
				e.data = e.data[:n]
			}
			if n > 0 {
				files[name] = applied(files[name], e)
			}
		}
	}
	return files
}

// cuts are ways in which what was not synced gets to the disk: not, all, some, and some in part.
func cuts(dice *rand.Rand) map[string]func(event) int {
	size := func(e event) int { return max(1, len(e.data)) }
	some := func(e event) int { return dice.IntN(2) * size(e) }
	return map[string]func(event) int{
		"nothing": func(event) int { return 0 },
		"all":     size,
		"some":    some,
		"torn": func(e event) int {
			if sectors := size(e) / 512; sectors > 0 {
				return 512 * dice.IntN(sectors+1)
			}
			return some(e)
		},
	}
}

// workload writes from some clients at once, updates and deletes too, confirms to
// r, and turns the log now and then.
func workload(t *testing.T, r *recorder, dir, synchronous string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	params := strings.Replace(dsnParams, "_synchronous=FULL", "_synchronous="+synchronous, 1) + "&_pragma=wal_autocheckpoint(12)"
	backend, dialect := bareBackendOf(t, ctx, &workers, filepath.Join(dir, databaseFile)+"?"+params)
	dialect.LockWrites = true
	events := watched(ctx, backend)
	workers.Go(func() {
		for each := range events { // a watcher is a client that was told, too
			r.confirm(each.KV.Key, each.KV.ModRevision)
		}
	})
	var clients sync.WaitGroup
	for w := range 6 {
		clients.Go(func() {
			for n := range 10 {
				key := fmt.Sprintf("/registry/%d-%d", w, n)
				revision, err := backend.Create(ctx, key, bytes.Repeat([]byte("1"), 700), 0)
				if err != nil {
					t.Error(err)
					return
				}
				r.confirm(key, revision)
				if n%3 != 0 {
					continue
				}
				revision, _, updated, err := backend.Update(ctx, key, bytes.Repeat([]byte("2"), 300), revision, 0)
				if err != nil || !updated {
					t.Error(updated, err)
					return
				}
				r.confirm(key, revision)
			}
		})
	}
	clients.Wait()
	cancel()
	workers.Wait()
}

// replay cuts the power after events and returns how many of its cases lost what
// was confirmed, gave a revision out twice or would not open, with the first of them.
func replay(t *testing.T, events []event, step int) (cases, bad int, first string) {
	t.Helper()
	dice := rand.New(rand.NewPCG(3, 4))
	d := &disk{synced: map[string][]byte{}, pending: map[string][]event{}}
	told := map[int64]string{}
	for n, e := range events {
		d.apply(e)
		if e.kind == "confirm" {
			told[e.offset] = e.file
		}
		if n%step != 0 && e.kind != "confirm" {
			continue
		}
		for name, keep := range cuts(dice) {
			cases++
			if err := opens(t, d.left(keep), told); err != nil {
				bad++
				if first == "" {
					first = fmt.Sprintf("event %d of %d (%s %s), %s kept: %v", n, len(events), e.kind, e.file, name, err)
				}
			}
		}
	}
	return cases, bad, first
}

// opens is nil if a database with these files holds all that clients were told,
// and goes on above it.
func opens(t *testing.T, files map[string][]byte, told map[int64]string) error {
	t.Helper()
	dir, err := os.MkdirTemp("", "replay-*") // removed at once: there are hundreds
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) == 0 {
		return nil // nothing was promised yet
	}
	path := filepath.Join(dir, databaseFile)
	if err := quickCheck(t.Context(), path); err != nil {
		return err
	}
	return holds(t.Context(), path, told)
}

func holds(ctx context.Context, path string, told map[int64]string) error {
	db, err := openDatabase(path, "mode=rw")
	if err != nil {
		return err
	}
	defer db.Close()
	var last int64
	for revision, key := range told {
		var name string
		if err := db.QueryRowContext(ctx, "SELECT name FROM kine WHERE id = ?", revision).Scan(&name); err != nil || name != key {
			return fmt.Errorf("revision %d was confirmed for %s, %q is there (%v)", revision, key, name, err)
		}
		last = max(last, revision)
	}
	made, err := db.ExecContext(ctx, "INSERT INTO kine(name, created, deleted, create_revision, prev_revision) VALUES('/after', 1, 0, 0, 0)")
	if err != nil {
		return err
	}
	if next, err := made.LastInsertId(); err != nil || next <= last {
		return fmt.Errorf("revision %d is given out after %d was", next, last)
	}
	return nil
}

func recordedWorkload(t *testing.T, synchronous string) []event {
	t.Helper()
	r := newRecorder(t)
	workload(t, r, t.TempDir(), synchronous)
	return r.events
}

// TestChaosPowerCut rebuilds the files of a database as of every confirmation, and
// of many points between, with every kind of what a power cut may have left.
func TestChaosPowerCut(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 20
	}
	events := recordedWorkload(t, "FULL")
	cases, bad, first := replay(t, events, step)
	if bad > 0 {
		t.Errorf("%d of %d cases are bad, as %s", bad, cases, first)
	}
	t.Attr("power-cuts", strconv.Itoa(cases))
	t.Attr("power-cuts-bad", strconv.Itoa(bad))
}

// TestChaosPowerCutFindsLosses holds the test above to finding something: without
// a sync for each transaction, a power cut takes back what was confirmed.
func TestChaosPowerCutFindsLosses(t *testing.T) {
	cases, bad, _ := replay(t, recordedWorkload(t, "NORMAL"), 50)
	if bad == 0 {
		t.Errorf("%d cases show no loss", cases)
	}
	t.Attr("power-cuts-bad-without-sync", fmt.Sprintf("%d of %d", bad, cases))
}
