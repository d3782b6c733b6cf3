package kine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"k8sbuild.dev/distribution/pkg/config"
)

const (
	registryPrefix = "/registry/"
	// migrationKey is there while a migration is under way. It says what is migrated.
	migrationKey = "/k8s-migration"

	// etcd takes 128 operations and 1.5 MiB in a transaction unless it is told otherwise.
	migrateKeys  = 100
	migrateBytes = mebibyte
	raiseWorkers = 64
	dialLimit    = 15 * time.Second
)

// live selects what the API server would find: the last revision of each key,
// but for Kine's own keys and the addresses of API servers, which these renew.
const live = `SELECT kine.name, kine.value, kine.lease FROM kine
	JOIN (SELECT MAX(id) AS id FROM kine WHERE name >= '/registry/' AND name < '/registry0' GROUP BY name) AS last USING (id)
	WHERE deleted = 0 AND name != '/registry/health' AND name NOT LIKE '/registry/masterleases/%' ORDER BY `

// entry is a live key. A lease is its time to live in seconds, 0 for none.
type entry struct {
	key   string
	value []byte
	lease int64
}

// keeper is what a migration needs of an etcd.
type keeper interface {
	clientv3.KV
	clientv3.Lease
}

// migration copies the database of a stopped server to an etcd.
type migration struct {
	db       *sql.DB
	etcd     keeper
	revision int64 // the database's
	out      io.Writer
}

// migrate copies the cluster of cfg to the etcd that cfg names, and says what it does on out.
// The database stays as it is. What was broken off goes on when it is called again.
func migrate(ctx context.Context, cfg *config.Config, out io.Writer) (err error) {
	counted, err := statusOf(ctx, cfg.DBDir())
	if err != nil {
		return err
	}
	release, err := hold(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	path := filepath.Join(cfg.DBDir(), databaseFile)
	if err := verify(ctx, path); err != nil {
		return err
	}
	db, err := openForReading(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	etcd, err := connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer etcd.Close()
	m := &migration{db: db, etcd: etcd, revision: counted.Revision, out: out}
	return m.run(ctx)
}

// connect is a client of the etcd that cfg names.
func connect(ctx context.Context, cfg *config.Config) (*clientv3.Client, error) {
	own := clientv3.Config{Endpoints: cfg.EtcdServers, DialTimeout: dialLimit, Logger: zap.NewNop()}
	if cfg.EtcdCAFile != "" || cfg.EtcdCertFile != "" {
		tls, err := transport.TLSInfo{TrustedCAFile: cfg.EtcdCAFile, CertFile: cfg.EtcdCertFile, KeyFile: cfg.EtcdKeyFile}.ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("read the certificates for etcd: %w", err)
		}
		own.TLS = tls
	}
	etcd, err := clientv3.New(own)
	if err != nil {
		return nil, fmt.Errorf("connect to etcd: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	if _, err := etcd.Get(ctx, migrationKey); err != nil {
		etcd.Close()
		return nil, fmt.Errorf("ask the etcd at %s: %w", strings.Join(cfg.EtcdServers, ","), err)
	}
	return etcd, nil
}

func (m *migration) run(ctx context.Context) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	// Before the copy: an object's revision is never one that the database gave
	// to something else, which somebody may still hold and update with.
	if err := m.raise(ctx); err != nil {
		return fmt.Errorf("raise the revision of etcd: %w (call it again to go on)", err)
	}
	copied, err := m.copy(ctx)
	if err != nil {
		return fmt.Errorf("copy to etcd: %w (call it again to go on)", err)
	}
	if err := m.verify(ctx); err != nil {
		return err
	}
	// The last write, so that a migration that was broken off is known as one.
	done, err := m.etcd.Delete(ctx, migrationKey)
	if err != nil {
		return fmt.Errorf("end the migration: %w", err)
	}
	if _, err := m.etcd.Compact(ctx, done.Header.Revision); err != nil {
		return fmt.Errorf("compact etcd: %w", err)
	}
	fmt.Fprintf(m.out, "%d keys are in etcd, each compared, at revision %d; the database's was %d. Start with --server-mode=ha\n",
		copied, done.Header.Revision, m.revision)
	return nil
}

// begin refuses an etcd that holds a cluster, unless it is this one, in part.
func (m *migration) begin(ctx context.Context) error {
	own := fmt.Sprint("revision ", m.revision)
	got, err := m.etcd.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(migrationKey), "=", 0)).
		Then(clientv3.OpGet(registryPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())).
		Else(clientv3.OpGet(migrationKey)).Commit()
	if err != nil {
		return fmt.Errorf("look into etcd: %w", err)
	}
	found := got.Responses[0].GetResponseRange()
	switch {
	case !got.Succeeded && string(found.Kvs[0].Value) == own:
		fmt.Fprintln(m.out, "going on with a migration that was broken off")
		return nil
	case !got.Succeeded:
		return fmt.Errorf("a migration of another database (%s) into this etcd was broken off: empty it first", found.Kvs[0].Value)
	case found.Count > 0:
		return fmt.Errorf("this etcd has %d keys below %s: migrate into an empty one", found.Count, registryPrefix)
	}
	if _, err := m.etcd.Put(ctx, migrationKey, own); err != nil {
		return fmt.Errorf("begin the migration: %w", err)
	}
	return nil
}

// each calls do for every live key, in the order that is given.
func (m *migration) each(ctx context.Context, order string, do func(entry) error) error {
	rows, err := m.db.QueryContext(ctx, live+order)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var e entry
		if err := rows.Scan(&e.key, &e.value, &e.lease); err != nil {
			return err
		}
		if err := do(e); err != nil {
			return err
		}
	}
	return rows.Err()
}

// copy puts all live keys into etcd, in the order in which they were written.
func (m *migration) copy(ctx context.Context) (copied int, err error) {
	var batch []entry
	size := 0
	err = m.each(ctx, "id", func(e entry) error {
		if len(batch) == migrateKeys || size+len(e.value) > migrateBytes {
			if err := m.put(ctx, batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
		batch = append(batch, e)
		size += len(e.key) + len(e.value)
		copied++
		return nil
	})
	if err == nil {
		err = m.put(ctx, batch)
	}
	return copied, err
}

// put writes a batch in one transaction. One that is there already, from before
// a break, is left as it is: what is in it is compared in the end.
func (m *migration) put(ctx context.Context, batch []entry) error {
	if len(batch) == 0 {
		return nil
	}
	there, err := m.etcd.Get(ctx, batch[0].key, clientv3.WithCountOnly())
	if err != nil || there.Count > 0 {
		return err
	}
	leases := map[int64]clientv3.LeaseID{}
	var puts []clientv3.Op
	for _, e := range batch {
		lease, err := m.lease(ctx, e.lease, leases)
		if err != nil {
			return err
		}
		puts = append(puts, clientv3.OpPut(e.key, string(e.value), clientv3.WithLease(lease)))
	}
	_, err = m.etcd.Txn(ctx).Then(puts...).Commit()
	return err
}

// lease is etcd's lease for a time to live, one for all keys of a batch that have the same.
func (m *migration) lease(ctx context.Context, ttl int64, granted map[int64]clientv3.LeaseID) (clientv3.LeaseID, error) {
	if ttl <= 0 {
		return clientv3.NoLease, nil
	}
	if id, ok := granted[ttl]; ok {
		return id, nil
	}
	lease, err := m.etcd.Grant(ctx, ttl)
	if err != nil {
		return 0, fmt.Errorf("grant a lease: %w", err)
	}
	granted[ttl] = lease.ID
	return lease.ID, nil
}

// raise makes etcd's revision higher than the database's, so that none is given
// out again for something else. etcd counts one for each write.
func (m *migration) raise(ctx context.Context) error {
	now, err := m.etcd.Get(ctx, migrationKey)
	if err != nil {
		return err
	}
	var left atomic.Int64
	left.Store(m.revision - now.Header.Revision + 1)
	if left.Load() > 10_000 {
		fmt.Fprintf(m.out, "raising etcd's revision by %d, one write each\n", left.Load())
	}
	var group sync.WaitGroup
	failed := make(chan error, raiseWorkers)
	for range raiseWorkers {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := m.etcd.Put(ctx, migrationKey, fmt.Sprint("revision ", m.revision)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
