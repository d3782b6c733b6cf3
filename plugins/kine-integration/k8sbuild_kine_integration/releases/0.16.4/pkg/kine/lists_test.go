package kine

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/k3s-io/kine/pkg/drivers/generic"
	"github.com/k3s-io/kine/pkg/query"
	"github.com/k3s-io/kine/pkg/rowcache"
	kineserver "github.com/k3s-io/kine/pkg/server"
)

// TestListsAreOfTheRightRevisions lists as of each revision, and compares with what SQL says.
func TestListsAreOfTheRightRevisions(t *testing.T) {
	backend, dialect := bareBackend(t, "")
	var last int64
	for _, key := range []string{"b", "a", "aa", "c"} {
		k := keyed{t, backend, "/registry/" + key}
		k.remove(k.update("2", k.create("1", nil), true), true)
		if last = k.create("3", nil); key == "aa" {
			k.remove(last, true)
		}
	}
	const from, to = "/registry/", "/registry0"
	for revision := range last + 1 { // 0 is the current one
		for limit := range int64(4) {
			for _, deleted := range []bool{false, true} {
				q, args := dialect.ListCurrentValSQL, []any{from, to, deleted}
				if revision > 0 {
					q, args = dialect.GetRevisionAfterValSQL, []any{from, to, revision, deleted}
				}
				if limit > 0 {
					q = q.Appendf("LIMIT %d", limit)
				}
				lists{t, dialect}.same(q, args, from, to, limit, revision, deleted)
				q, args = dialect.ListRevisionStartValSQL, []any{from + "aa", max(revision, 1), deleted}
				lists{t, dialect}.same(q, args, from+"aa", "", limit, max(revision, 1), deleted)
			}
		}
		lists{t, dialect}.counted(from, to, revision)
	}
}

// lists are those of a dialect.
type lists struct {
	*testing.T
	*generic.Generic
}

// same holds a list against what a query finds. Rows are kept from the first list on.
func (l lists) same(q *query.Named, args []any, key, end string, limit, revision int64, deleted bool) {
	l.Helper()
	rows, err := l.DB.Query(q.Query, args...)
	if err != nil {
		l.Fatal(err)
	}
	wantRevision, wantCompact, want, err := generic.RowsToEvents(rows, true, false)
	if err != nil {
		l.Fatal(err)
	}
	for range 2 {
		gotRevision, gotCompact, got, err := l.ListEvents(l.Context(), key, end, limit, revision, deleted)
		if err != nil || !reflect.DeepEqual(current(got), current(want)) {
			l.Errorf("%s to %q as of %d, limit %d: %s, not %s; error %v", key, end, revision, limit, current(got), current(want), err)
		}
		if len(want) > 0 && (gotRevision != wantRevision || gotCompact != wantCompact) {
			l.Errorf("%s to %q as of %d: at %d and %d, not %d and %d", key, end, revision, gotRevision, gotCompact, wantRevision, wantCompact)
		}
	}
}

// counted wants as many keys to be counted as are listed.
func (l lists) counted(key, end string, revision int64) {
	l.Helper()
	_, _, listed, err := l.ListEvents(l.Context(), key, end, 0, revision, false)
	if err != nil {
		l.Fatal(err)
	}
	_, count, err := l.CountCurrent(l.Context(), key, end)
	if revision > 0 {
		_, _, count, err = l.Count(l.Context(), key, end, revision)
	}
	if err != nil || count != int64(len(listed)) {
		l.Errorf("%d keys are counted as of %d, %d are listed; error %v", count, revision, len(listed), err)
	}
}

// current is what a list says of events.
func current(events kineserver.Events) (said []string) {
	for _, event := range events {
		said = append(said, fmt.Sprintf("%v %v %+v", event.Create, event.Delete, *event.KV))
	}
	return said
}

func TestRowsAreLetGo(t *testing.T) {
	var cache rowcache.Cache
	keep := func(revision int64, size int) {
		cache.Keep(revision, &kineserver.Event{KV: &kineserver.KeyValue{ModRevision: revision, Value: make([]byte, size)}})
	}
	kept := func() (revisions []int64) {
		for revision := range int64(5) {
			if event := cache.Get(revision); event != nil {
				revisions = append(revisions, event.KV.ModRevision)
			}
		}
		return revisions
	}
	for _, step := range []struct {
		what string
		do   func()
		want []int64
	}{
		{"nothing is kept", func() {}, nil},
		{"rows are kept", func() { keep(1, 1); keep(2, 1) }, []int64{1, 2}},
		{"for a turn", func() { cache.Turn() }, []int64{1, 2}},
		{"and for as long as they are read", func() { cache.Turn(); cache.Get(1); cache.Turn() }, []int64{1}},
		{"but not for ever", func() { cache.Turn(); cache.Turn() }, nil},
		{"nor if they are too large", func() { keep(3, rowcache.MaxBytes); keep(4, rowcache.MaxBytes/2) }, []int64{4}},
		{"nor beyond the bound", func() { keep(3, rowcache.MaxBytes/2) }, []int64{4}},
		{"until there is room", func() { cache.Turn(); cache.Turn(); keep(3, rowcache.MaxBytes/2) }, []int64{3}},
	} {
		if step.do(); !slices.Equal(kept(), step.want) {
			t.Errorf("%s: %d", step.what, kept())
		}
	}
}
