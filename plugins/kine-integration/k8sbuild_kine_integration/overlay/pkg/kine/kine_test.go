package kine

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/lock"
	"k8sbuild.dev/distribution/pkg/server"
)

func TestRegisterOffersTheStorage(t *testing.T) {
	Register()
	cfg := config.Default()
	cfg.DisableAgent = true
	if _, err := server.Components(cfg); err == nil || strings.Contains(err.Error(), "storage component") {
		t.Errorf("the storage is not registered: %v", err)
	}
}

func TestAnswersAnEtcdClient(t *testing.T) {
	s := started(t, t.TempDir())
	c := client(t, s)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	events := c.Watch(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithPrevKV())

	revision := mustCreate(t, c, "/registry/a", "1")
	if ok, err := update(ctx, c, "/registry/a", "2", revision); err != nil || !ok {
		t.Fatalf("update: %v %v", ok, err)
	}
	if ok, err := update(ctx, c, "/registry/a", "3", revision); err != nil || ok {
		t.Fatalf("an update of an old revision: %v %v", ok, err)
	}
	if _, created, err := create(ctx, c, "/registry/a", "4"); err != nil || created {
		t.Fatalf("a second create: %v %v", created, err)
	}
	if got := mustGet(t, c, "/registry/a"); got != "2" {
		t.Errorf("value %q", got)
	}
	list, err := c.Get(ctx, "/registry/a", clientv3.WithRange("/registry/b"))
	if err != nil || list.Count != 1 {
		t.Errorf("list: %v %v", list, err)
	}
	if got := values(t, events, "/registry/a", 2); got != "1,2" {
		t.Errorf("events %v", got)
	}
}

// values are the first n values of key that the watch reports.
func values(t *testing.T, events clientv3.WatchChan, key string, n int) string {
	t.Helper()
	var seen []string
	for len(seen) < n {
		response, ok := <-events
		if !ok {
			t.Fatalf("the watch ended after %v", seen)
		}
		for _, event := range response.Events {
			if string(event.Kv.Key) == key {
				seen = append(seen, string(event.Kv.Value))
			}
		}
	}
	return strings.Join(seen, ",")
}

func TestSaysAnEtcdVersionWithProgressNotifications(t *testing.T) {
	s := started(t, t.TempDir())
	c := client(t, s)
	status, err := c.Status(t.Context(), s.Endpoints()[0])
	if err != nil || status.Version != emulatedETCDVersion {
		t.Fatalf("status %v, error %v", status, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	events := c.Watch(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithCreatedNotify(), clientv3.WithProgressNotify())
	if created := <-events; !created.Created {
		t.Fatalf("the watch was not created: %v", created)
	}
	revision := mustCreate(t, c, "/elsewhere", "1")
	go askForProgress(ctx, c) // as the API server does: again and again
	for response := range events {
		if response.IsProgressNotify() && response.Header.Revision >= revision {
			return
		}
	}
	t.Errorf("no word that revision %d was reached", revision)
}

func TestLeasedKeyExpires(t *testing.T) {
	c := client(t, started(t, t.TempDir()))
	lease, err := c.Grant(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(t.Context(), "/registry/event", "1", clientv3.WithLease(lease.ID)); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		left, err := c.Get(t.Context(), "/registry/event")
		if err != nil {
			t.Fatal(err)
		}
		if len(left.Kvs) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("the key outlived its lease")
}

func TestAnyDataDirectoryWorks(t *testing.T) {
	for _, name := range []string{
		"plain", "with space", "ha#sh", "per%cent", "per%41cent", "quest?ion", "quest?mode=memory&x=y", "ümläut", "quo\"te'd",
		strings.Repeat("x", 200), strings.Repeat("?", 100),
	} {
		t.Run(url.PathEscape(name)[:min(20, len(name))], func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, name)
			s := newStorage(t, dir)
			for start := range 2 {
				if err := s.Start(context.Background()); err != nil {
					t.Fatal(err)
				}
				c := client(t, s)
				mustCreate(t, c, "/registry/"+strconv.Itoa(start), "1")
				mustGet(t, c, "/registry/0")
				c.Close()
				stop(t, s)
			}
			if !exists(t, database(dir)) {
				t.Error("the database is elsewhere")
			}
			if beside, err := os.ReadDir(parent); err != nil || len(beside) != 1 {
				t.Errorf("files beside the data directory: %v %v", beside, err)
			}
		})
	}
}

func TestConcurrentWritersLoseNoUpdate(t *testing.T) {
	const writers, each = 16, 15
	s := started(t, t.TempDir())
	c := client(t, s)
	mustCreate(t, c, "/registry/counter", "0")
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for n := range each {
				if _, created, err := create(t.Context(), c, fmt.Sprintf("/registry/own-%d-%d", w, n), "x"); err != nil || !created {
					t.Errorf("create: %v %v", created, err)
				}
				if err := increment(t.Context(), c, "/registry/counter"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if got := mustGet(t, c, "/registry/counter"); got != strconv.Itoa(writers*each) {
		t.Errorf("the counter is at %s", got)
	}
	own, err := c.Get(t.Context(), "/registry/own-", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || own.Count != writers*each {
		t.Errorf("%d own keys, error %v", own.Count, err)
	}
}

func increment(ctx context.Context, c *clientv3.Client, key string) error {
	for {
		now, err := c.Get(ctx, key)
		if err != nil {
			return err
		}
		value, err := strconv.Atoi(string(now.Kvs[0].Value))
		if err != nil {
			return err
		}
		done, err := update(ctx, c, key, strconv.Itoa(value+1), now.Kvs[0].ModRevision)
		if done || err != nil {
			return err
		}
	}
}

func TestStartsAgainWithoutLeaks(t *testing.T) {
	dir := t.TempDir()
	s := newStorage(t, dir)
	round := func(n int) {
		if err := s.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		c := client(t, s)
		c.Watch(context.Background(), "/registry/", clientv3.WithPrefix(), clientv3.WithProgressNotify())
		mustCreate(t, c, "/registry/"+strconv.Itoa(n), "1")
		mustGet(t, c, "/registry/0")
		if err := c.RequestProgress(t.Context()); err != nil {
			t.Error(err)
		}
		// Even rounds stop while the client and its watch are there.
		if n%2 == 1 {
			c.Close()
		}
		stop(t, s)
		c.Close()
	}
	round(0)
	noMoreGoroutinesThan(t, 100)
	time.Sleep(200 * time.Millisecond)
	before := runtime.NumGoroutine()
	for n := range 6 {
		round(n + 1)
	}
	noMoreGoroutinesThan(t, before)
}

func TestCleanStopLeavesARecordAndNoLog(t *testing.T) {
	dir := stopped(t)
	want := map[string]bool{
		databaseFile: true, recordFile: true, lock.FileName: true,
		databaseFile + "-wal": false, databaseFile + "-shm": false, socketFile: false, openFile: false,
	}
	for name, there := range want {
		if exists(t, filepath.Join(dir, "db", name)) != there {
			t.Errorf("%s: there is %v", name, !there)
		}
	}
}

func TestSecondStorageIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := started(t, dir)
	// Somebody may remove the file of the lock.
	for range 2 {
		err := newStorage(t, dir).Start(t.Context())
		if !errors.As(err, new(*lock.HeldError)) {
			t.Errorf("error %v", err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "db", lock.FileName)); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Start(t.Context()); err == nil {
		t.Error("it starts twice")
	}
	mustCreate(t, client(t, first), "/registry/a", "1")
}

func TestStoppedStorage(t *testing.T) {
	s := newStorage(t, t.TempDir())
	if s.Name() != Name {
		t.Errorf("name %q", s.Name())
	}
	if err := s.Ready(t.Context()); err == nil {
		t.Error("it is ready")
	}
	if got := s.Endpoints(); got != nil {
		t.Errorf("endpoints %v", got)
	}
	stop(t, s)
}

func TestAStuckWriteIsNoSignOfLife(t *testing.T) {
	s := started(t, t.TempDir())
	if err := s.Alive(t.Context()); err != nil {
		t.Error(err)
	}
	s.running.writers.Lock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Alive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("reads need no writer: %v", err)
	}
	s.running.writers.Unlock()
	if err := s.Alive(t.Context()); err != nil {
		t.Errorf("the write has ended: %v", err)
	}
	stop(t, s)
	if err := s.Alive(t.Context()); !errors.Is(err, errStopping) {
		t.Errorf("got %v of a stopped storage", err)
	}
}

func TestEndOfTheContextStops(t *testing.T) {
	dir := t.TempDir()
	s := newStorage(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	for range 500 {
		if exists(t, filepath.Join(dir, "db", recordFile)) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the storage runs on")
}

func TestStopThatHasNoTimeIsAnErrorAndLosesNothing(t *testing.T) {
	dir := t.TempDir()
	s := running(t, dir)
	c := client(t, s)
	mustCreate(t, c, "/registry/a", "1")
	c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if exists(t, filepath.Join(dir, "db", recordFile)) {
		t.Error("a stop that was cut short counts as clean")
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	mustGet(t, client(t, s), "/registry/a")
	stop(t, s)
}

func TestStopsAtOnceAreOneStop(t *testing.T) {
	dir := t.TempDir()
	s := newStorage(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	c := client(t, s)
	c.Watch(context.Background(), "/registry/", clientv3.WithPrefix()) // makes the stop last
	mustCreate(t, c, "/registry/a", "1")
	cancel()
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			stop(t, s)
			if !exists(t, filepath.Join(dir, "db", recordFile)) {
				t.Error("Stop returned before the stop had ended")
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	short, cancelShort := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancelShort()
	if err := s.Stop(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stop with no time left: %v", err)
	}
	group.Wait()
}

func TestEndOfTheServerIsAFailure(t *testing.T) {
	s := started(t, t.TempDir())
	s.running.socket.Listener.Close()
	select {
	case err := <-s.Failed():
		if !strings.Contains(err.Error(), "ended") {
			t.Errorf("error %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody was told")
	}
}

func TestMetricsAreReportedOnceWhileItRuns(t *testing.T) {
	s := newStorage(t, t.TempDir())
	for range 2 {
		if err := s.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := families(t); got["kine_sql_total"] != 1 || got["go_sql_open_connections"] != 1 {
			t.Errorf("while it runs: %v", got)
		}
		stop(t, s)
		if got := families(t); got["kine_sql_total"] != 0 {
			t.Errorf("after the stop: %v", got)
		}
	}
}

// families counts the metric families of Kubernetes' registry by name.
func families(t *testing.T) map[string]int {
	t.Helper()
	gathered, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Error(err)
	}
	count := map[string]int{}
	for _, family := range gathered {
		count[family.GetName()]++
	}
	return count
}
