package kine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/k3s-io/kine/pkg/drivers/generic"
	kineserver "github.com/k3s-io/kine/pkg/server"
)

// outcome is what became of the write of a key.
type outcome struct {
	key      string
	revision int64
	err      error
}

// together writes keys so that all of them wait at the same time, calls then, and
// returns what became of each.
func together(t *testing.T, backend kineserver.Backend, dialect *generic.Generic, keys []string, then func()) map[string]outcome {
	t.Helper()
	done := make(chan outcome, len(keys))
	dialect.LockWrites = true // as openInstance does
	dialect.Lock()
	for _, key := range keys {
		go func() {
			revision, err := backend.Create(t.Context(), key, []byte("1"), 0)
			done <- outcome{key, revision, err}
		}()
	}
	waitForWriters(t, len(keys))
	then()
	dialect.Unlock()
	outcomes := map[string]outcome{}
	for range keys {
		each := <-done
		outcomes[each.key] = each
	}
	return outcomes
}

// waitForWriters returns when n writes wait.
func waitForWriters(t *testing.T, n int) {
	t.Helper()
	stacks := make([]byte, 1<<22)
	for range 1000 {
		text := string(stacks[:runtime.Stack(stacks, true)])
		if strings.Count(text, ").insertGrouped(") == n {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%d writes never wait at once", n)
}

func keysOf(n int) []string {
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf("/registry/%d", i))
	}
	return keys
}

func TestWaitingWritesShareATransaction(t *testing.T) {
	backend, dialect := bareBackend(t, "")
	groups, writes := groupsAndWrites(t)
	outcomes := together(t, backend, dialect, keysOf(40), func() {})
	seen := map[int64]bool{}
	for key, got := range outcomes {
		if got.err != nil || seen[got.revision] {
			t.Errorf("%s: revision %d, error %v", key, got.revision, got.err)
		}
		seen[got.revision] = true
	}
	groupsAfter, writesAfter := groupsAndWrites(t)
	// The first may have been taken alone before the others came.
	if groupsAfter-groups > 2 || writesAfter-writes != 40 {
		t.Errorf("%v writes in %d transactions", writesAfter-writes, groupsAfter-groups)
	}
}

func TestOneFailureOfAGroupFailsAlone(t *testing.T) {
	backend, dialect := bareBackend(t, "")
	// The first is an error of the statement that undoes the transaction, the second a constraint.
	for _, statement := range []string{
		`CREATE TRIGGER overflow BEFORE INSERT ON kine WHEN NEW.name = '/registry/3' BEGIN SELECT abs(-9223372036854775807 - 1); END`,
		`CREATE TRIGGER refused BEFORE INSERT ON kine WHEN NEW.name = '/registry/4' BEGIN SELECT RAISE(ABORT, 'refused'); END`,
	} {
		if _, err := dialect.DB.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	before, err := backend.CurrentRevision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var last int64
	for key, got := range together(t, backend, dialect, keysOf(12), func() {}) {
		if bad := key == "/registry/3" || key == "/registry/4"; bad != (got.err != nil) {
			t.Errorf("%s: error %v", key, got.err)
		}
		if _, kept, err := backend.Get(t.Context(), key, 0, false); err != nil || (kept != nil) != (got.err == nil) {
			t.Errorf("%s: kept %v, error %v", key, kept, err)
		}
		if got.err == nil {
			last = max(last, got.revision)
		}
	}
	if last != before+10 {
		t.Errorf("10 writes after revision %d end with %d", before, last)
	}
}

func TestFailedUpdateIsAnError(t *testing.T) {
	backend, dialect := bareBackend(t, "")
	revision, err := backend.Create(t.Context(), "/registry/a", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dialect.DB.Exec(`CREATE TRIGGER full BEFORE INSERT ON kine BEGIN SELECT RAISE(ABORT, 'no room'); END`); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := backend.Update(t.Context(), "/registry/a", []byte("2"), revision, 0); err == nil {
		t.Error("the update has no error")
	}
	if _, _, _, err := backend.Delete(t.Context(), "/registry/a", revision); err == nil {
		t.Error("the delete has no error")
	}
}

func TestClientThatLeavesUndoesNothing(t *testing.T) {
	backend, dialect := bareBackend(t, "")
	leaving, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	outcomes := together(t, backend, dialect, keysOf(8), func() {
		go func() {
			_, err := backend.Create(leaving, "/registry/left", []byte("1"), 0)
			left <- err
		}()
		waitForWriters(t, 9)
		leave()
		// It does not wait for the others, who still wait.
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	for key, got := range outcomes {
		if got.err != nil {
			t.Errorf("%s: %v", key, got.err)
		}
	}
	if _, kept, err := backend.Get(t.Context(), "/registry/left", 0, false); err != nil || kept != nil {
		t.Errorf("kept %v, error %v", kept, err)
	}
}

func TestLargeWritesDoNotShareATransaction(t *testing.T) {
	backend, dialect := bareBackend(t, "")
	groups, _ := groupsAndWrites(t)
	dialect.LockWrites = true
	dialect.Lock()
	done := make(chan error)
	for _, key := range keysOf(10) {
		go func() {
			_, err := backend.Create(t.Context(), key, make([]byte, 3*mebibyte), 0)
			done <- err
		}()
	}
	waitForWriters(t, 10)
	dialect.Unlock()
	for range 10 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if after, _ := groupsAndWrites(t); after-groups != 10 {
		t.Errorf("10 large writes in %d transactions", after-groups)
	}
}
