package kine

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// migratable is the data directory of a stopped server with some of everything,
// and its last revision.
func migratable(t *testing.T) (string, int64) {
	t.Helper()
	dir := t.TempDir()
	s := running(t, dir)
	defer stop(t, s)
	c := client(t, s)
	for n := range 250 {
		mustCreate(t, c, fmt.Sprintf("/registry/configmaps/%d", n), strings.Repeat("v", 1+n*100))
	}
	revision := mustCreate(t, c, "/registry/pods/changed", "old")
	if ok, err := update(t.Context(), c, "/registry/pods/changed", "new", revision); err != nil || !ok {
		t.Fatal(ok, err)
	}
	gone := mustCreate(t, c, "/registry/pods/gone", "1")
	if _, err := c.Txn(t.Context()).If(clientv3.Compare(clientv3.ModRevision("/registry/pods/gone"), "=", gone)).
		Then(clientv3.OpDelete("/registry/pods/gone")).Else(clientv3.OpGet("/registry/pods/gone")).Commit(); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, c, "/registry/masterleases/10.0.0.1", "1")
	lease, err := c.Grant(t.Context(), 3600)
	if err != nil {
		t.Fatal(err)
	}
	put, err := c.Put(t.Context(), "/registry/events/leased", "1", clientv3.WithLease(lease.ID))
	if err != nil {
		t.Fatal(err)
	}
	return dir, put.Header.Revision
}

func TestMigratesToEtcd(t *testing.T) {
	etcd := newEtcd(t)
	dir, last := migratable(t)
	before := statusIn(t, dir)
	out := mustRun(t, migrateCommand, "--data-dir="+dir, "--etcd-servers="+etcd.url)
	if !strings.Contains(out, "252 keys") {
		t.Errorf("output %q", out)
	}
	all, err := etcd.Get(t.Context(), "/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, kv := range all.Kvs {
		values[string(kv.Key)] = string(kv.Value)
		if kv.ModRevision <= last {
			t.Errorf("%s is at revision %d, the database was at %d", kv.Key, kv.ModRevision, last)
		}
		if leased := kv.Lease != 0; leased != (string(kv.Key) == "/registry/events/leased") {
			t.Errorf("%s has lease %d", kv.Key, kv.Lease)
		}
	}
	if len(values) != 252 || values["/registry/pods/changed"] != "new" || len(values["/registry/configmaps/249"]) != 24901 {
		t.Errorf("%d keys", len(values))
	}
	if all.Header.Revision <= last {
		t.Errorf("etcd is at revision %d, the database was at %d", all.Header.Revision, last)
	}
	for _, from := range []int64{2, last} {
		if watch := <-etcd.Watch(t.Context(), "/registry/", clientv3.WithPrefix(), clientv3.WithRev(from)); watch.Err() != rpctypes.ErrCompacted {
			t.Errorf("a watch from %d: %v", from, watch.Err())
		}
	}
	if after := statusIn(t, dir); after.Revision != before.Revision || after.Keys != before.Keys {
		t.Errorf("the database was %+v and is %+v", before, after)
	}
	if _, err := run(t, migrateCommand, "--data-dir="+dir, "--etcd-servers="+etcd.url); err == nil || !strings.Contains(err.Error(), "an empty one") {
		t.Errorf("an etcd with keys: %v", err)
	}
}

func TestMigrationGoesOnWhereItWasBrokenOff(t *testing.T) {
	etcd := newEtcd(t)
	dir, last := migratable(t)
	db, err := openForReading(database(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// Half of it, as a break leaves it.
	m := &migration{db: db, etcd: etcd.Client, revision: last, out: t.Output()}
	if err := m.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	var some []entry
	if err := m.each(t.Context(), "id", func(e entry) error { some = append(some, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := m.put(t.Context(), some[:migrateKeys]); err != nil {
		t.Fatal(err)
	}
	if err := m.verify(t.Context()); err == nil {
		t.Error("half of it is taken for all")
	}
	other := *m
	other.revision++
	if err := other.begin(t.Context()); err == nil || !strings.Contains(err.Error(), "another database") {
		t.Errorf("another database: %v", err)
	}
	if out := mustRun(t, migrateCommand, "--data-dir="+dir, "--etcd-servers="+etcd.url); !strings.Contains(out, "going on") {
		t.Errorf("output %q", out)
	}
	// Something that the database has not.
	if _, err := etcd.Put(t.Context(), "/registry/zzz", "1"); err != nil {
		t.Fatal(err)
	}
	if err := m.verify(t.Context()); err == nil {
		t.Error("a foreign key is not seen")
	}
}

func TestMigrationNeedsAnEtcdAndAStoppedServer(t *testing.T) {
	dir := t.TempDir()
	s := running(t, dir)
	if _, err := run(t, migrateCommand, "--data-dir="+dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a running server: %v", err)
	}
	stop(t, s)
	if _, err := run(t, migrateCommand, "--data-dir="+dir, "--etcd-cafile=/nonexistent"); err == nil || !strings.Contains(err.Error(), "certificates") {
		t.Errorf("no certificates: %v", err)
	}
}

// migrationOf is a migration of the database on dir to a fake etcd.
func migrationOf(t *testing.T, dir string, etcd *fakeEtcd) *migration {
	t.Helper()
	db, err := openForReading(database(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &migration{db: db, etcd: etcd, revision: statusIn(t, dir).Revision, out: t.Output()}
}

func TestMigrationStepByStep(t *testing.T) {
	dir, last := migratable(t)
	etcd := newFakeEtcd()
	m := migrationOf(t, dir, etcd)
	etcd.writes = 5
	if err := m.run(t.Context()); !errors.Is(err, errFake) || len(etcd.keys) != 1 {
		t.Fatalf("while the revision is raised: %d keys, %v", len(etcd.keys), err)
	}
	etcd.writes = int(last-etcd.revision) + 2 // and one transaction
	if err := m.run(t.Context()); !errors.Is(err, errFake) || len(etcd.keys) != 1+migrateKeys {
		t.Fatalf("%d keys after a break, error %v", len(etcd.keys), err)
	}
	etcd.writes = -1
	if err := m.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, kv := range etcd.keys {
		if kv.ModRevision <= last {
			t.Errorf("%s is at revision %d, the database was at %d", name, kv.ModRevision, last)
		}
	}
	if len(etcd.keys) != 252 || etcd.revision <= last || etcd.compacted != etcd.revision {
		t.Errorf("%d keys at revision %d, compacted to %d; the database was at %d", len(etcd.keys), etcd.revision, etcd.compacted, last)
	}
	if err := m.run(t.Context()); err == nil || !strings.Contains(err.Error(), "an empty one") {
		t.Errorf("an etcd with keys: %v", err)
	}
}

func TestMigrationComparesEachKey(t *testing.T) {
	dir, _ := migratable(t)
	for name, c := range map[string]struct {
		change func(*fakeEtcd)
		fits   bool
	}{
		"as it was copied":   {func(*fakeEtcd) {}, true},
		"an expired lease":   {func(e *fakeEtcd) { delete(e.keys, "/registry/events/leased") }, true},
		"a lost key":         {func(e *fakeEtcd) { delete(e.keys, "/registry/configmaps/7") }, false},
		"the last key lost":  {func(e *fakeEtcd) { delete(e.keys, "/registry/pods/changed") }, false},
		"another value":      {func(e *fakeEtcd) { e.keys["/registry/pods/changed"].Value = []byte("old") }, false},
		"a key of its own":   {func(e *fakeEtcd) { _ = e.write(clientv3.OpPut("/registry/zzz", "1")) }, false},
		"one before another": {func(e *fakeEtcd) { _ = e.write(clientv3.OpPut("/registry/a", "1")) }, false},
	} {
		etcd := newFakeEtcd()
		m := migrationOf(t, dir, etcd)
		if _, err := m.copy(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.change(etcd)
		if err := m.verify(t.Context()); (err == nil) != c.fits {
			t.Errorf("%s: %v", name, err)
		}
	}
}
