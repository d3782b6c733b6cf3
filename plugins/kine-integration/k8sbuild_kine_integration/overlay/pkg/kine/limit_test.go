package kine

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// limited is a running storage that may hold some MiB.
func limited(t *testing.T, dir string, mib int) *Storage {
	t.Helper()
	s := newStorage(t, dir)
	s.chosen.maxBytes = int64(mib) * mebibyte
	s.chosen.minRetain = 0
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

// within waits until done is true.
func within(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func deleteKey(t *testing.T, c *clientv3.Client, key string) int64 {
	t.Helper()
	// As the API server does without a precondition on the revision.
	now, err := c.Get(t.Context(), key)
	if err != nil || len(now.Kvs) != 1 {
		t.Fatalf("%s: %v, %v", key, now, err)
	}
	done, err := c.Txn(t.Context()).If(clientv3.Compare(clientv3.ModRevision(key), "=", now.Kvs[0].ModRevision)).
		Then(clientv3.OpDelete(key)).Else(clientv3.OpGet(key)).Commit()
	if err != nil || !done.Succeeded {
		t.Fatalf("delete %s: %v, %v", key, done, err)
	}
	return done.Header.Revision
}

// TestDatabaseStaysBelowItsLimit fills a database up to its limit, and makes room
// by deleting, with nobody's help but the API server's compactions.
func TestDatabaseStaysBelowItsLimit(t *testing.T) {
	const mib = 16
	dir := t.TempDir()
	c := client(t, limited(t, dir, mib))
	first := mustCreate(t, c, "/registry/first", "1")
	value := strings.Repeat("v", 200_000)
	kept, refused := fill(t, func(n int) error {
		_, _, err := create(t.Context(), c, fmt.Sprintf("/registry/%04d", n), value)
		return err
	})
	// The last of them fills it.
	if most := mib*mebibyte/len(value) + 1; kept > most {
		t.Errorf("%d values of %d bytes were taken, and there is room for %d", kept, len(value), most)
	}
	for what, err := range map[string]error{
		"a create": refused,
		"an update": func() error {
			_, err := update(t.Context(), c, "/registry/first", "2", first)
			return err
		}(),
	} {
		if grpcstatus.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "--database-max-size is 16") {
			t.Errorf("%s beyond the limit: %v", what, err)
		}
	}
	if got := mustGet(t, c, "/registry/first"); got != "1" {
		t.Errorf("value %q", got)
	}
	if now := statusIn(t, dir); now.MaxBytes != mib*mebibyte || !strings.Contains(now.Refusal, "delete objects") {
		t.Errorf("status %+v", now)
	}
	if text := mustRun(t, dbCommand, "status", "--data-dir="+dir); !strings.Contains(text, "at most 16 MiB") || !strings.Contains(text, "are refused") {
		t.Errorf("status %s", text)
	}
	var last int64
	for n := range kept {
		last = deleteKey(t, c, fmt.Sprintf("/registry/%04d", n))
	}
	// The API server's own mark of a compaction is taken, as the compaction is.
	marked, err := c.Txn(t.Context()).If(clientv3.Compare(clientv3.Version("compact_rev_key"), "=", 0)).
		Then(clientv3.OpPut("compact_rev_key", fmt.Sprint(last))).Else(clientv3.OpGet("compact_rev_key")).Commit()
	if err != nil || !marked.Succeeded {
		t.Errorf("the mark of a compaction: %v, %v", marked, err)
	}
	if _, err := c.Compact(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "a create after the compaction", func() bool {
		_, created, err := create(t.Context(), c, "/registry/after", value)
		return err == nil && created
	})
	if now := statusIn(t, dir); now.Refusal != "" || now.DatabaseBytes > (mib+mib/4)*mebibyte+autoCheckpointPages*pageSize {
		t.Errorf("status %+v", now)
	}
}

// fill writes until that is refused, and returns how many writes were not, and why.
func fill(t *testing.T, write func(int) error) (int, error) {
	t.Helper()
	for n := range 100_000 {
		if err := write(n); err != nil {
			return n, err
		}
	}
	t.Fatal("it is never full")
	return 0, nil
}

// TestFileEndsItsGrowth holds that SQLite itself keeps the file from growing on,
// should deletes not stop.
func TestFileEndsItsGrowth(t *testing.T) {
	const mib = 16
	_, dialect := bareBackend(t, pageLimit(mib*mebibyte))
	if _, err := dialect.DB.Exec("CREATE TABLE large (content BLOB)"); err != nil {
		t.Fatal(err)
	}
	n, err := fill(t, func(int) error {
		_, err := dialect.DB.Exec("INSERT INTO large VALUES (zeroblob(1000000))")
		return err
	})
	if n < mib || n > 56 || !strings.Contains(err.Error(), "full") {
		t.Errorf("after %d MB: %v", n, err)
	}
}

func TestNearlyFullDiskIsSaidBeforeItIsFull(t *testing.T) {
	dir := small(t, "80m")
	s := started(t, dir)
	c := client(t, s)
	mustCreate(t, c, "/registry/a", "1")
	// Somebody else takes the room.
	other, err := os.Create(dir + "/other")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Write(make([]byte, 68*mebibyte)); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "a refusal", func() bool {
		_, _, err := create(t.Context(), c, fmt.Sprint("/registry/", time.Now().UnixNano()), "1")
		return grpcstatus.Code(err) == codes.ResourceExhausted && strings.Contains(err.Error(), "make room")
	})
	deleteKey(t, c, "/registry/a")
	if err := other.Truncate(0); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "a create", func() bool {
		_, _, err := create(t.Context(), c, fmt.Sprint("/registry/", time.Now().UnixNano()), "1")
		return err == nil
	})
}
