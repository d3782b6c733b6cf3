package kine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"time"

	"github.com/k3s-io/kine/pkg/drivers"
	"github.com/k3s-io/kine/pkg/drivers/generic"
	"github.com/k3s-io/kine/pkg/drivers/sqlite"
	kineserver "github.com/k3s-io/kine/pkg/server"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/lock"
)

const (
	// emulatedETCDVersion is what Kine answers when it is asked for its version.
	// From 3.5.13 on, the API server relies on progress notifications and answers
	// consistent lists from its cache. This is the etcd that Kubernetes 1.31 names.
	emulatedETCDVersion = "3.5.15"
	notifyInterval      = 5 * time.Second

	// Kine's defaults. An interval of 0 leaves compaction to the API server,
	// which asks for it every five minutes.
	compactInterval  = 0
	compactTimeout   = 5 * time.Second
	compactMinRetain = 1000
	compactBatchSize = 250 // the writers wait while one is deleted
	pollBatchSize    = 500

	// Kine needs two connections at its start. Writers exclude each other in any
	// case, so more connections would only wait for each other. One is the checkpointer's.
	maxConnections = 5

	// synchronous=FULL: what was answered survives a power cut. Writers take the
	// write lock when a transaction begins, since upgrading later can fail.
	dsnParams = "_journal_mode=WAL&_synchronous=FULL&_txlock=immediate&_busy_timeout=30000&_kine_disable_startup_vacuum" +
		"&_kine_disable_compact_wal_checkpoint" // that is the checkpointer's work

	// etcd's defaults; taking the constants from etcd would link its server.
	minKeepAlive     = 5 * time.Second
	keepAlive        = 2 * time.Hour
	keepAliveTimeout = 20 * time.Second
	maxRequestBytes  = 1.5*1024*1024 + 512*1024

	// The API server opens a connection for each resource, and gRPC gives each of
	// them 32 KiB for reading. A unix socket needs less. Buffers for writing are
	// shared: answers to lists are long.
	readBytes  = 4 * 1024
	writeBytes = 64 * 1024

	// drainLimit is how long open requests may go on during a stop. Watches
	// never end by themselves.
	drainLimit = time.Second
)

// settings are what may differ from one storage to another.
type settings struct {
	maxBytes       int64 // of the database
	keptOnDisk     int64 // bytes that only deletes and compactions may take
	minRetain      int64 // revisions that no compaction takes
	notifyInterval time.Duration
}

// settingsOf are those of a server.
func settingsOf(cfg *config.Config) settings {
	return settings{
		maxBytes: int64(cfg.DatabaseMaxSize) * mebibyte, keptOnDisk: keptOnDisk,
		minRetain: compactMinRetain, notifyInterval: notifyInterval,
	}
}

// instance is everything that exists between one start and one stop.
type instance struct {
	dir      string
	settings settings
	held     *lock.Lock
	socket   *socket
	grpc     *grpc.Server
	db       *sql.DB
	writers  sync.Locker // held by whoever writes
	cancel   context.CancelFunc
	workers  *sync.WaitGroup
	served   chan error    // the server's end when nobody asked for it
	stopping chan struct{} // closed when a stop begins
	stopped  chan struct{} // closed when it has ended
	stopErr  error         // how it ended
}

// openInstance opens the checked database in dir and serves it. On success the
// instance owns held.
func openInstance(dir string, held *lock.Lock, chosen settings) (_ *instance, err error) {
	sock, err := listen(filepath.Join(dir, socketFile))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	i := &instance{
		dir: dir, settings: chosen, held: held, socket: sock, cancel: cancel, workers: &sync.WaitGroup{},
		grpc: grpc.NewServer(serverOptions()...), served: make(chan error, 1), stopping: make(chan struct{}), stopped: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			cancel()
			i.workers.Wait()
			err = errors.Join(err, sock.Close())
		}
	}()
	backend, err := i.openBackend(ctx)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", filepath.Join(dir, databaseFile), err)
	}
	kineserver.New(backend, "unix", chosen.notifyInterval, emulatedETCDVersion).Register(i.grpc)
	i.workers.Add(1)
	go i.serve()
	return i, nil
}

func (i *instance) openBackend(ctx context.Context) (kineserver.Backend, error) {
	registry, err := newRegistry()
	if err != nil {
		return nil, err
	}
	backend, dialect, err := sqlite.NewVariant(ctx, i.workers, "sqlite3", polling(&drivers.Config{
		DataSourceName: filepath.Join(i.dir, databaseFile) + "?" + dsnParams + logParams() + pageLimit(i.settings.maxBytes),
		ConnectionPoolConfig: generic.ConnectionPoolConfig{
			MaxIdle: maxConnections, MaxOpen: maxConnections,
		},
		MetricsRegisterer: registry,
		CompactInterval:   compactInterval,
		CompactTimeout:    compactTimeout,
		CompactMinRetain:  i.settings.minRetain,
		CompactBatchSize:  compactBatchSize,
		PollBatchSize:     pollBatchSize,
	}))
	if err != nil {
		return nil, err
	}
	i.db = dialect.DB
	// Our mutex wakes the next writer at once; SQLite's busy handler sleeps.
	dialect.LockWrites = true
	i.writers = dialect
	if err := backend.Start(ctx); err != nil {
		return nil, err
	}
	if err := writeOpen(i.dir, i.settings.maxBytes); err != nil { // SQLite has made the log
		return nil, err
	}
	room := &limit{dir: i.dir, max: i.settings.maxBytes, kept: i.settings.keptOnDisk, db: i.db}
	if err := room.look(ctx); err != nil {
		return nil, err
	}
	log, err := newCheckpointer(ctx, i.db, filepath.Join(i.dir, databaseFile), dialect)
	if err != nil {
		return nil, err
	}
	i.workers.Go(func() { log.run(ctx) })
	i.workers.Go(func() { room.run(ctx) })
	exported.set(registry)
	return &bounded{Backend: backend, limit: room}, nil
}

// logParams keep the log short where the checkpointer cannot.
func logParams() string {
	return fmt.Sprintf("&_pragma=wal_autocheckpoint(%d)&_pragma=journal_size_limit(%d)", autoCheckpointPages, autoCheckpointPages*pageSize)
}

func serverOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minKeepAlive}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepAlive, Timeout: keepAliveTimeout}),
		grpc.MaxConcurrentStreams(math.MaxUint32),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.WaitForHandlers(true),
		grpc.ReadBufferSize(readBytes),
		grpc.WriteBufferSize(writeBytes),
		grpc.SharedWriteBuffer(true),
	}
}

func (i *instance) serve() {
	defer i.workers.Done()
	if err := i.grpc.Serve(i.socket.Listener); err != nil {
		i.served <- err
	}
}

func (i *instance) ping(ctx context.Context) error {
	var one int
	if err := i.db.QueryRowContext(ctx, "SELECT 1 FROM kine LIMIT 1").Scan(&one); err != nil {
		return fmt.Errorf("ask the database: %w", err)
	}
	return nil
}

// writes waits for the writers' turn to come to us: the write before us has
// ended. Each call that is given up leaves a goroutine until it does.
func (i *instance) writes(ctx context.Context) error {
	turn := make(chan struct{})
	go func() {
		i.writers.Lock()
		defer i.writers.Unlock()
		close(turn)
	}()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a write to the database does not end: %w", context.Cause(ctx))
	}
}

// close stops in the order requests, workers, database, record, lock.
func (i *instance) close(ctx context.Context) error {
	err := i.closeDatabase(ctx)
	exported.set(nil)
	return errors.Join(err, i.socket.Close(), i.held.Release())
}

func (i *instance) closeDatabase(ctx context.Context) error {
	i.drain(ctx)
	if err := removeOpen(i.dir); err != nil {
		return err
	}
	i.cancel()
	if err := i.wait(ctx); err != nil {
		return err
	}
	if err := checkpoint(ctx, i.dir); err != nil {
		return err
	}
	return writeRecord(i.dir)
}

// drain lets open requests end, then cuts what is left, mostly watches.
func (i *instance) drain(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		i.grpc.GracefulStop()
	}()
	limit := time.NewTimer(drainLimit)
	defer limit.Stop()
	select {
	case <-done:
		return
	case <-limit.C:
	case <-ctx.Done():
	}
	i.grpc.Stop()
}

// wait returns when Kine's workers have ended and the last connection is closed.
// A query that was under way keeps its connection after the pool has closed.
func (i *instance) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		i.workers.Wait()
		for i.db.Stats().OpenConnections > 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}()
	select {
	case <-done:
		return ctx.Err()
	case <-ctx.Done():
		return fmt.Errorf("wait for the database to close: %w", ctx.Err())
	}
}
