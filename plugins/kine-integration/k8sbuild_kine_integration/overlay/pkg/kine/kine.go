// Package kine is the storage of single mode: Kine on an SQLite file below the
// data directory, reached by the API server through a unix socket.
//
// Kine's own opening behaviour is tamed. Nothing touches the file before our
// lock is held, the file's header has been read, and, unless the last stop left
// a record that still fits the file, SQLite's quick_check has passed. A damaged
// file is a DamagedError, at once.
package kine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8sbuild.dev/distribution/pkg/command"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/lock"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name in logs and errors.
const Name = "kine"

const (
	databaseFile = "state.db"
	socketFile   = "kine.sock"
	recordFile   = "clean-stop.json"
	openFile     = "open.json"

	// stopLimit bounds a stop that nobody gave a deadline.
	stopLimit = 8 * time.Second
)

// errStopping ends a Ready or a second Start that meets a stopped storage.
var errStopping = errors.New("the storage is not running")

// Storage is the storage component. It may be started again after a stop.
type Storage struct {
	cfg    *config.Config
	dir    string
	chosen settings
	failed chan error

	mu      sync.Mutex
	running *instance // nil when stopped
}

// Register makes Kine the storage component of this process, and adds the
// commands that look after its database.
func Register() {
	command.Register("db", dbCommand)
	command.Register("backup", backupCommand)
	command.Register("restore", restoreCommand)
	command.Register("migrate", migrateCommand)
	server.Register(server.Component{Name: Name, Role: server.RoleStorage, New: newService})
}

func newService(cfg *config.Config) (service.Service, error) {
	dir, err := filepath.Abs(cfg.DBDir())
	if err != nil {
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	return &Storage{cfg: cfg, dir: dir, chosen: settingsOf(cfg), failed: make(chan error, 1)}, nil
}

var (
	_ server.Storage = (*Storage)(nil)
	_ service.Living = (*Storage)(nil)
)

// Name is "kine".
func (s *Storage) Name() string { return Name }

// Failed receives one error if the storage ends by itself.
func (s *Storage) Failed() <-chan error { return s.failed }

// Endpoints are the URLs of the running storage, none when it is stopped.
func (s *Storage) Endpoints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return nil
	}
	return []string{s.running.socket.endpoint}
}

// Start checks the database, opens it and serves it. When ctx ends, a running
// check is broken off and a running storage stops in order.
func (s *Storage) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return errors.New("the storage runs already")
	}
	running, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("start storage: %w", err)
	}
	s.running = running
	go s.follow(ctx, running)
	return nil
}

func (s *Storage) open(ctx context.Context) (_ *instance, err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the storage's directory: %w", err)
	}
	held, err := lock.Acquire(s.dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, held.Release())
		}
	}()
	if err := reserve(s.dir); err != nil {
		return nil, err
	}
	if err := checkDatabase(ctx, s.dir); err != nil {
		return nil, err
	}
	if err := backupBeforeChange(ctx, s.cfg); err != nil {
		return nil, err
	}
	return openInstance(s.dir, held, s.chosen)
}

// follow turns the end of ctx into a stop and the end of the server into a failure.
func (s *Storage) follow(ctx context.Context, running *instance) {
	select {
	case <-running.stopping:
	case <-ctx.Done():
		stopCtx, cancel := context.WithTimeout(context.Background(), stopLimit)
		defer cancel()
		if err := s.Stop(stopCtx); err != nil {
			s.report(err)
		}
	case err := <-running.served:
		s.report(fmt.Errorf("the storage's server ended: %w", err))
	}
}

// report keeps the first failure; nobody needs to listen.
func (s *Storage) report(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// Ready is nil when the database answers.
func (s *Storage) Ready(ctx context.Context) error {
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	if running == nil {
		return errStopping
	}
	return running.ping(ctx)
}

// Alive is nil when no write is stuck. What is read comes from memory, and so
// it does even when the disk does not answer.
func (s *Storage) Alive(ctx context.Context) error {
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	if running == nil {
		return errStopping
	}
	return running.writes(ctx)
}

// Stop ends all requests, writes the log back into the database file, closes
// it and leaves the record that spares the next start the check. Once it has
// returned, without an error, nothing of the storage runs. ctx bounds it; the
// database survives a stop that was cut short as it survives a crash. A second
// Stop during the first waits for it and returns the same.
func (s *Storage) Stop(ctx context.Context) error {
	running, first := s.claimStop()
	if running == nil {
		return nil
	}
	if first {
		s.close(ctx, running)
	}
	select {
	case <-running.stopped:
		return running.stopErr
	case <-ctx.Done():
		return fmt.Errorf("stop storage: %w", ctx.Err())
	}
}

// claimStop returns what is to be stopped, and whether the caller is to do it.
func (s *Storage) claimStop() (running *instance, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return nil, false
	}
	select {
	case <-s.running.stopping:
		return s.running, false
	default:
		close(s.running.stopping)
		return s.running, true
	}
}

func (s *Storage) close(ctx context.Context, running *instance) {
	if err := running.close(ctx); err != nil {
		running.stopErr = fmt.Errorf("stop storage: %w", err)
	}
	s.mu.Lock()
	s.running = nil
	s.mu.Unlock()
	close(running.stopped)
}
