package kine

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/k3s-io/kine/pkg/drivers/generic"
	"github.com/k3s-io/kine/pkg/query"
)

// TestReadersReadWhatDatabaseSQLDoes reads rows of all kinds in both ways.
func TestReadersReadWhatDatabaseSQLDoes(t *testing.T) {
	backend, dialect := bareBackend(t, "")
	gone := keyed{t, backend, "/registry/gone"}
	gone.remove(gone.create("1", nil), true)
	gone.remove(gone.update("3", gone.create("2", nil), true), true)
	for key, value := range map[string]string{"empty": "", "long": strings.Repeat("v", 100_000), "ü": "\x00ß"} {
		k := keyed{t, backend, "/registry/" + key}
		k.update(value, k.create(value, nil), true)
	}
	if _, err := backend.Create(t.Context(), "/registry/leased", []byte("1"), 1000); err != nil {
		t.Fatal(err)
	}
	const from, to, deleted = "/registry/", "/registry0", true
	for what, q := range map[string]struct {
		*query.Named
		val, prev bool
		args      []any
	}{
		"list":         {dialect.ListCurrentValSQL, true, false, []any{from, to, !deleted}},
		"with deleted": {dialect.ListCurrentValSQL, true, false, []any{from, to, deleted}},
		"limit":        {dialect.ListCurrentValSQL.Appendf("LIMIT 2"), true, false, []any{from, to, !deleted}},
		"keys":         {dialect.ListCurrentSQL, false, false, []any{from, to, !deleted}},
		"earlier":      {dialect.GetRevisionAfterValSQL, true, false, []any{from, to, int64(8), !deleted}},
		"get":          {dialect.GetSingleValSQL, true, false, []any{"/registry/ü", !deleted}},
		"none":         {dialect.GetSingleValSQL, true, false, []any{"/registry/none", !deleted}},
		"all events":   {dialect.AfterAllOldValSQL, true, true, []any{int64(0)}},
		"events":       {dialect.AfterOldValSQL, true, true, []any{from, to, int64(2)}},
	} {
		rows, err := dialect.DB.Query(q.Query, q.args...)
		if err != nil {
			t.Fatal(err)
		}
		wantRevision, wantCompact, want, err := generic.RowsToEvents(rows, q.val, q.prev)
		if err != nil {
			t.Fatal(err)
		}
		revision, compact, got, err := dialect.ReadEvents(t.Context(), q.Query, q.args...)
		if err != nil || revision != wantRevision || compact != wantCompact || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d events at %d, %d, error %v; not %d at %d, %d", what, len(got), revision, compact, err, len(want), wantRevision, wantCompact)
		}
	}
}

func TestReadersTellWhatTheyCannotRead(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	_, dialect := bareBackendOf(t, ctx, &workers, filepath.Join(t.TempDir(), databaseFile)+"?"+dsnParams)
	given, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, _, events, err := dialect.ReadEvents(given, dialect.AfterAllOldValSQL.Query, int64(0)); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits: %d events, error %v", len(events), err)
	}
	for what, text := range map[string]string{
		"no SQL": "SELECT FROM kine",
		// abs() of the smallest integer is an error, here in the third row.
		"broken off": `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5)
			SELECT 5, 0, CASE WHEN i = 3 THEN abs(-9223372036854775807 - 1) ELSE i END, 'key', 1, 0, 0, 0, 0 FROM n`,
	} {
		if _, _, events, err := dialect.ReadEvents(t.Context(), text); err == nil {
			t.Errorf("%s: %d events and no error", what, len(events))
		}
	}
	cancel()
	workers.Wait()
	if _, _, _, err := dialect.ReadEvents(t.Context(), dialect.AfterAllOldValSQL.Query, int64(0)); !errors.Is(err, sql.ErrConnDone) {
		t.Errorf("after the end: error %v", err)
	}
}

// TestWatchesTellTheValueBefore watches what has been written, here and by releases that stored the value before.
func TestWatchesTellTheValueBefore(t *testing.T) {
	backend, dialect := bareBackend(t, "")
	k, older := keyed{t, backend, "/registry/a"}, keyed{t, backend, "/registry/b"}
	begin := k.create("1", nil)
	second := k.update("2", begin, true)
	if _, err := backend.Compact(t.Context(), begin); err != nil { // which takes away nothing that is needed
		t.Fatal(err)
	}
	k.remove(second, true)
	k.create("3", nil)
	stored := older.update("5", older.create("4", nil), true)
	if _, err := dialect.DB.Exec("UPDATE kine SET old_value = 'stored' WHERE id = ?", stored); err != nil {
		t.Fatal(err)
	}
	want := []string{"1", "2", "", "", "stored"} // of an update, a delete, two creates and an update
	for events := range backend.Watch(t.Context(), "/registry/", "/registry0", second).Events {
		for _, event := range events {
			var got string
			if event.PrevKV != nil {
				got = string(event.PrevKV.Value)
			}
			if got != want[0] {
				t.Errorf("revision %d of %s follows %q, not %q", event.KV.ModRevision, event.KV.Key, got, want[0])
			}
			want = want[1:]
		}
		if len(want) == 0 {
			return
		}
	}
	t.Errorf("%d events are missing", len(want))
}
