package kine

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"k8sbuild.dev/distribution/pkg/config"
)

func TestMain(m *testing.M) {
	for variable, be := range roles {
		if dir := os.Getenv(variable); dir != "" {
			if variable != victimDir { // whose standard output is looked at
				logrus.SetOutput(io.Discard)
			}
			be(dir)
			return
		}
	}
	logrus.SetOutput(io.Discard)
	if dir := os.Getenv(servedDir); dir != "" {
		beServed(dir)
		return
	}
	os.Exit(m.Run())
}

func newStorage(t *testing.T, dataDir string) *Storage {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir = dataDir
	made, err := newService(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return made.(*Storage)
}

// running is a storage on dataDir that the test itself stops.
func running(t *testing.T, dataDir string) *Storage {
	t.Helper()
	s := newStorage(t, dataDir)
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

// started is a running storage on dataDir that the test's end stops.
func started(t *testing.T, dataDir string) *Storage {
	t.Helper()
	s := running(t, dataDir)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Storage) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func dial(s *Storage) (*clientv3.Client, error) { return dialTo(s.Endpoints()[0], 5*time.Second) }

func dialTo(endpoint string, limit time.Duration) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: []string{endpoint}, DialTimeout: limit, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithBlock()},
	})
}

// client is an etcd client of s that the test's end closes.
func client(t *testing.T, s *Storage) *clientv3.Client {
	t.Helper()
	c, err := dial(s)
	if err != nil {
		t.Fatalf("connect to %v: %v", s.Endpoints(), err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// create is the transaction with which the API server creates an object.
func create(ctx context.Context, c *clientv3.Client, key, value string) (int64, bool, error) {
	response, err := c.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, value)).
		Commit()
	if err != nil {
		return 0, false, err
	}
	return response.Header.Revision, response.Succeeded, nil
}

// update is the transaction with which the API server changes an object.
func update(ctx context.Context, c *clientv3.Client, key, value string, revision int64) (bool, error) {
	response, err := c.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
		Then(clientv3.OpPut(key, value)).
		Else(clientv3.OpGet(key)).
		Commit()
	if err != nil {
		return false, err
	}
	return response.Succeeded, nil
}

func mustCreate(t *testing.T, c *clientv3.Client, key, value string) int64 {
	t.Helper()
	revision, created, err := create(t.Context(), c, key, value)
	if err != nil || !created {
		t.Fatalf("create %s: created %v, error %v", key, created, err)
	}
	return revision
}

func mustGet(t *testing.T, c *clientv3.Client, key string) string {
	t.Helper()
	response, err := c.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if len(response.Kvs) != 1 {
		t.Fatalf("get %s: %d values", key, len(response.Kvs))
	}
	return string(response.Kvs[0].Value)
}

func database(dataDir string) string { return filepath.Join(dataDir, "db", databaseFile) }

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return err == nil
}

// noMoreGoroutinesThan fails the test unless the number of goroutines falls to limit.
func noMoreGoroutinesThan(t *testing.T, limit int) {
	t.Helper()
	for range 500 {
		if runtime.NumGoroutine() <= limit {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	var stacks strings.Builder
	pprof.Lookup("goroutine").WriteTo(&stacks, 1)
	t.Errorf("%d goroutines, at most %d expected:\n%s", runtime.NumGoroutine(), limit, stacks.String())
}
