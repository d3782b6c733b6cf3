package kine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/k3s-io/kine/pkg/ttl"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/utils/clock"
)

// steppedClock is the machine's clock with its hands moved, as settimeofday(2)
// does: the time of day is another one, while the time since boot goes on.
type steppedClock struct {
	clock.RealClock
	seconds atomic.Int64
	daytime bool // what it tells has no time since boot
}

func (c *steppedClock) Now() time.Time {
	now := time.Now()
	// A time's first word has the seconds of the day's clock above 30 bits of
	// nanoseconds, and the time since boot is in the second.
	*(*uint64)(unsafe.Pointer(&now)) += uint64(c.seconds.Load()) << 30
	if c.daytime {
		return now.Round(0)
	}
	return now
}

func (c *steppedClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// set makes c the clock of the storages that are started until the test ends.
func (c *steppedClock) set(t *testing.T) {
	usual := ttl.Clock
	ttl.Clock = c
	t.Cleanup(func() { ttl.Clock = usual })
}

func TestSteppedClockMovesTheTimeOfDayAlone(t *testing.T) {
	c := &steppedClock{}
	before := c.Now()
	c.seconds.Store(3600)
	after := c.Now()
	if day := after.Round(0).Sub(before.Round(0)); day < time.Hour || day > time.Hour+time.Minute {
		t.Errorf("the time of day moved by %v", day)
	}
	if boot := after.Sub(before); boot < 0 || boot > time.Minute {
		t.Errorf("the time since boot moved by %v", boot)
	}
}

// leases are what became of keys with leases while the clock was moved.
type leases struct {
	early []string // gone before their time
	late  []string // there long after it
}

// step moves the clock between and behind the writes of keys with leases.
func (c *steppedClock) step(t *testing.T, by ...time.Duration) (found leases) {
	t.Helper()
	c.set(t)
	s := started(t, t.TempDir())
	client := client(t, s)
	ends := map[string]time.Time{}
	put := func(name string, seconds int64) {
		lease, err := client.Grant(t.Context(), seconds)
		if err != nil {
			t.Fatal(err)
		}
		ends[name] = time.Now().Add(time.Duration(seconds) * time.Second)
		if _, err := client.Put(t.Context(), name, "1", clientv3.WithLease(lease.ID)); err != nil {
			t.Fatal(err)
		}
	}
	for n, step := range by {
		put(fmt.Sprintf("/registry/short/%d", n), 2)
		put(fmt.Sprintf("/registry/long/%d", n), 1800)
		time.Sleep(200 * time.Millisecond) // they are in the queue
		c.seconds.Add(int64(step / time.Second))
		mustCreate(t, client, fmt.Sprintf("/registry/plain/%d", n), "1")
	}
	// Leases end one after the other: when this one has, so have all that were due.
	put("/registry/short/last", 4)
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		found.late = overdue(t, client)
		found.early = append(found.early, missing(t, client, ends)...)
		if len(found.late) == 0 || time.Now().After(end) {
			return found
		}
	}
}

// overdue are the names with short leases that are there.
func overdue(t *testing.T, c *clientv3.Client) (names []string) {
	t.Helper()
	short, err := c.Get(t.Context(), "/registry/short/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range short.Kvs {
		names = append(names, string(kv.Key))
	}
	return names
}

// missing are the names that are gone before their ends; each is returned once.
func missing(t *testing.T, c *clientv3.Client, ends map[string]time.Time) (gone []string) {
	t.Helper()
	all, err := c.Get(t.Context(), "/registry/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	there := map[string]bool{}
	for _, kv := range all.Kvs {
		there[string(kv.Key)] = true
	}
	for name, end := range ends {
		if !there[name] && now.Before(end) {
			gone = append(gone, name)
			delete(ends, name)
		}
	}
	return gone
}

// steps are those of the clock, an hour and a day in both directions.
var steps = []time.Duration{time.Hour, -time.Hour, -time.Hour, time.Hour, 24 * time.Hour, -48 * time.Hour}

// TestChaosClockSteps moves the clock while keys with leases live.
func TestChaosClockSteps(t *testing.T) {
	found := (&steppedClock{}).step(t, steps...)
	if len(found.early)+len(found.late) > 0 {
		t.Errorf("gone too early: %v; too late: %v", found.early, found.late)
	}
	t.Attr("clock-steps", strconv.Itoa(len(steps)))
	t.Attr("leases-lost", strconv.Itoa(len(found.early)))
}

// TestChaosClockStepsFindsLosses holds the test above to finding something: it
// gives Kine a clock by which it cannot know that the hands were moved.
func TestChaosClockStepsFindsLosses(t *testing.T) {
	if found := (&steppedClock{daytime: true}).step(t, time.Hour); len(found.early) == 0 {
		t.Error("a lease of half an hour outlives an hour of the clock")
	}
}

// TestNewestBackupStaysWhenTheClockWasSetBack holds that backups that seem to be
// of the future push none out that was just made.
func TestNewestBackupStaysWhenTheClockWasSetBack(t *testing.T) {
	dir := t.TempDir()
	for n := range backupsKept + 1 {
		touch(t, filepath.Join(dir, fmt.Sprintf("20990101T00000%d.000Z-before-v1.tar.gz", n)))
	}
	made := filepath.Join(dir, "20260101T000000.000Z-before-v2.tar.gz")
	touch(t, made)
	if err := removeOld(dir, made); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != backupsKept || !exists(t, made) {
		t.Errorf("left: %v, %v", left, err)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
