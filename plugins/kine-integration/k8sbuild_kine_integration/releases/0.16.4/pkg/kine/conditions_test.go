package kine

import (
	"errors"
	"testing"

	kineserver "github.com/k3s-io/kine/pkg/server"
)

// keyed is a key of a backend and what a test knows of it.
type keyed struct {
	*testing.T
	kineserver.Backend
	key string
}

func (k keyed) create(value string, wanted error) int64 {
	k.Helper()
	revision, err := k.Create(k.Context(), k.key, []byte(value), 0)
	if !errors.Is(err, wanted) {
		k.Fatalf("create %q: error %v, not %v", value, err, wanted)
	}
	return revision
}

func (k keyed) update(value string, revision int64, wanted bool) int64 {
	k.Helper()
	latest, found, updated, err := k.Update(k.Context(), k.key, []byte(value), revision, 0)
	if err != nil || updated != wanted {
		k.Fatalf("update to %q at revision %d: updated %v, error %v", value, revision, updated, err)
	}
	if !updated && found != nil && (found.ModRevision == revision || len(found.Value) == 0) {
		k.Errorf("an update at revision %d was refused for %+v", revision, found)
	}
	return latest
}

func (k keyed) remove(revision int64, wanted bool) {
	k.Helper()
	if _, _, deleted, err := k.Delete(k.Context(), k.key, revision); err != nil || deleted != wanted {
		k.Fatalf("delete at revision %d: deleted %v, error %v", revision, deleted, err)
	}
}

func (k keyed) holds(value string, created int64) {
	k.Helper()
	_, found, err := k.Get(k.Context(), k.key, 0, false)
	if err != nil || found == nil || string(found.Value) != value || found.CreateRevision != created {
		k.Errorf("%+v, not %q created at %d; error %v", found, value, created, err)
	}
}

// TestWritesLookAtTheirKey writes to a key on all conditions that the API server sets.
func TestWritesLookAtTheirKey(t *testing.T) {
	backend, _ := bareBackend(t, "")
	k := keyed{t, backend, "/registry/a"}
	k.update("early", 1, false)
	first := k.create("first", nil)
	k.create("again", kineserver.ErrKeyExists)
	second := k.update("second", first, true)
	k.update("late", first, false)
	k.remove(first, false)
	third := k.update("third", second, true)
	k.holds("third", first)
	k.remove(third, true)
	k.update("deleted", third, false)
	k.remove(third, false)
	again := k.create("once more", nil)
	k.create("twice more", kineserver.ErrKeyExists)
	k.holds("once more", again)
	keyed{t, backend, "/registry/b"}.update("another key's revision", again, false)
}

// TestCompactedRevisionIsNotTheLatest writes at revisions whose rows and successors a compaction has taken away.
func TestCompactedRevisionIsNotTheLatest(t *testing.T) {
	backend, _ := bareBackend(t, "")
	k, gone := keyed{t, backend, "/registry/a"}, keyed{t, backend, "/registry/gone"}
	first := k.create("first", nil)
	second := k.update("second", first, true)
	third := k.update("third", second, true)
	deleted := gone.create("deleted", nil)
	gone.remove(deleted, true)
	current, err := backend.CurrentRevision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backend.Compact(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	k.update("late", first, false)
	k.update("late", second, false)
	k.remove(second, false)
	k.create("again", kineserver.ErrKeyExists)
	k.holds("third", first)
	k.remove(third, true)
	gone.update("late", deleted, false)
	again := gone.create("again", nil)
	gone.holds("again", again)
}
