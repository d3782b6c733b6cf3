package kine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	kineserver "github.com/k3s-io/kine/pkg/server"
)

// TestCompactionKeepsWhatIsNeeded compacts in steps while keys change: after each,
// what can still be asked for is there, and nothing else is.
func TestCompactionKeepsWhatIsNeeded(t *testing.T) {
	backend, dialect := bareBackend(t, "")
	dice := rand.New(rand.NewPCG(1, 2))
	var lists []map[string]string // by revision, from the first of these writes on
	var first int64
	for range 60 {
		revision := change(t, backend, fmt.Sprintf("/registry/%d", dice.IntN(8)), dice.IntN(3) == 0)
		if first == 0 {
			first = revision
		}
		lists = append(lists, list(t, backend, revision))
		if len(lists)%13 != 0 {
			continue
		}
		target := revision - 5
		if _, err := backend.Compact(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		for at := target; at <= revision; at++ {
			if got, want := fmt.Sprint(list(t, backend, at)), fmt.Sprint(lists[at-first]); got != want {
				t.Errorf("revision %d after a compaction to %d: %s, want %s", at, target, got, want)
			}
		}
		var old int
		// What is below the compact revision is the last of its key and no deletion.
		if err := dialect.DB.QueryRow(`SELECT COUNT(*) FROM kine AS k WHERE id <= ? AND name LIKE '/registry/_' AND
			(deleted != 0 OR EXISTS (SELECT 1 FROM kine WHERE name = k.name AND id > k.id AND id <= ?))`, target, target).Scan(&old); err != nil || old > 0 {
			t.Errorf("%d old revisions are left below %d: %v", old, target, err)
		}
	}
}

// change creates or updates key, or deletes it, and returns the revision.
func change(t *testing.T, backend kineserver.Backend, key string, remove bool) int64 {
	t.Helper()
	_, now, err := backend.Get(t.Context(), key, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	var revision int64
	switch {
	case now == nil:
		revision, err = backend.Create(t.Context(), key, []byte("new"), 0)
	case remove:
		revision, _, _, err = backend.Delete(t.Context(), key, now.ModRevision)
	default:
		revision, _, _, err = backend.Update(t.Context(), key, fmt.Append(nil, now.ModRevision), now.ModRevision, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func list(t *testing.T, backend kineserver.Backend, revision int64) map[string]string {
	t.Helper()
	_, found, err := backend.List(t.Context(), "/registry/0", "/registry/9", 0, revision, false)
	if err != nil {
		t.Fatalf("list at %d: %v", revision, err)
	}
	values := map[string]string{}
	for _, each := range found {
		values[each.Key] = string(each.Value)
	}
	return values
}

func TestListsAreInOrder(t *testing.T) {
	backend, _ := bareBackend(t, "")
	dice := rand.New(rand.NewPCG(5, 6))
	var last int64
	for range 300 {
		last = change(t, backend, fmt.Sprintf("/registry/%d/%d", dice.IntN(9), dice.IntN(30)), dice.IntN(4) == 0)
	}
	for _, revision := range []int64{0, last, last - 50} {
		for _, limit := range []int64{0, 7} {
			for _, keysOnly := range []bool{true, false} {
				_, found, err := backend.List(t.Context(), "/registry/2", "/registry/7", limit, revision, keysOnly)
				inOrder := slices.IsSortedFunc(found, func(a, b *kineserver.KeyValue) int { return strings.Compare(a.Key, b.Key) })
				if err != nil || !inOrder || len(found) < 7 || limit > 0 && len(found) != 7 {
					t.Errorf("revision %d, limit %d: %d keys, in order %v, error %v", revision, limit, len(found), inOrder, err)
				}
			}
		}
	}
}
