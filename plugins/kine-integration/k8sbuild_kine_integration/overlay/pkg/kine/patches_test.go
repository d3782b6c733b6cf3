package kine

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/k3s-io/kine/pkg/drivers"
	"github.com/k3s-io/kine/pkg/drivers/generic"
	"github.com/k3s-io/kine/pkg/drivers/sqlite"
	kineserver "github.com/k3s-io/kine/pkg/server"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/lock"
)

// These tests hold what our patches change in Kine and no other test shows.

func TestFailsAtOnceWhenSQLiteCannotOpen(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, databaseFile), 0o700); err != nil {
		t.Fatal(err)
	}
	held, err := lock.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	begin := time.Now()
	if _, err := openInstance(dir, held, settingsOf(config.Default())); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("failed after %v", took)
	}
	if exists(t, filepath.Join(dir, socketFile)) {
		t.Error("the socket is still there")
	}
}

// bareBackend is Kine on a new database without our service around it.
func bareBackend(t *testing.T, params string) (kineserver.Backend, *generic.Generic) {
	t.Helper()
	dir := t.TempDir() // before Cleanup, to be removed after it
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	t.Cleanup(func() { cancel(); workers.Wait() })
	return bareBackendOf(t, ctx, &workers, filepath.Join(dir, databaseFile)+"?"+dsnParams+params)
}

// bareBackendOf is the same until ctx is over, with its workers in a group.
func bareBackendOf(t *testing.T, ctx context.Context, workers *sync.WaitGroup, dsn string) (kineserver.Backend, *generic.Generic) {
	t.Helper()
	backend, dialect, err := sqlite.NewVariant(ctx, workers, "sqlite3", polling(&drivers.Config{
		DataSourceName: dsn,
		CompactTimeout: compactTimeout, CompactBatchSize: compactBatchSize, PollBatchSize: pollBatchSize,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := backend.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return backend, dialect
}

func TestFailedCompactionIsAnError(t *testing.T) {
	backend, dialect := bareBackend(t, "&_pragma=foreign_keys(1)")
	revision, err := backend.Create(t.Context(), "/registry/a", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	latest, _, updated, err := backend.Update(t.Context(), "/registry/a", []byte("2"), revision, 0)
	if err != nil || !updated {
		t.Fatalf("update: %v %v", updated, err)
	}
	// A deferred constraint fails in COMMIT, where a full disk does.
	for _, statement := range []string{
		`CREATE TABLE parent (id INTEGER PRIMARY KEY)`,
		`CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)`,
		`CREATE TRIGGER orphan AFTER DELETE ON kine BEGIN INSERT INTO child VALUES (1); END`,
	} {
		if _, err := dialect.DB.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := backend.Compact(t.Context(), latest); err != nil {
		t.Error(err)
	}
	if _, kept, err := backend.Get(t.Context(), "/registry/a", revision, false); err != nil || kept == nil {
		t.Errorf("the old revision: %v %v", kept, err)
	}
}

func TestIdleStorageHoldsNoConnection(t *testing.T) {
	_, dialect := bareBackend(t, "")
	var held int
	for range 500 {
		if held = dialect.DB.Stats().InUse; held == idleConnections {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d connections are in use", held)
}

func TestCurrentRevisionNeverLags(t *testing.T) {
	backend, _ := bareBackend(t, "")
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for n := range 100 {
				revision, err := backend.Create(t.Context(), fmt.Sprintf("/registry/%d/%d", w, n), []byte("1"), 0)
				if err != nil {
					t.Error(err)
					return
				}
				if current, err := backend.CurrentRevision(t.Context()); err != nil || current < revision {
					t.Errorf("revision %d was written, %d is current, error %v", revision, current, err)
				}
			}
		})
	}
	group.Wait()
}

func TestBrokenOffReadIsAnError(t *testing.T) {
	_, dialect := bareBackend(t, "")
	// abs() of the smallest integer is an error, here in the third row.
	rows, err := dialect.DB.Query(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5)
		SELECT 5, 0, CASE WHEN i = 3 THEN abs(-9223372036854775807 - 1) ELSE i END, 'key', 1, 0, 0, 0, 0, 'value' FROM n`)
	if err != nil {
		t.Fatal(err)
	}
	if events, err := eventsOf(rows); err == nil {
		t.Errorf("%d events and no error", len(events))
	}
}

// ended is closed when the events of a watch end.
func ended(events iter.Seq[*kineserver.Event]) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range events {
		}
	}()
	return done
}

func TestNobodyWaitsForALogThatHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	backend, _ := bareBackendOf(t, ctx, &workers, filepath.Join(t.TempDir(), databaseFile)+"?"+dsnParams)
	ends := waiting(backend)
	ends["the watch from before"] = ended(watched(ctx, backend))
	cancel()
	workers.Wait()
	ends["the watch from after"] = ended(watched(context.Background(), backend))
	for name, end := range ends {
		select {
		case <-end:
		case <-time.After(10 * time.Second):
			t.Error(fmt.Sprint(name, " blocks"))
		}
	}
}
