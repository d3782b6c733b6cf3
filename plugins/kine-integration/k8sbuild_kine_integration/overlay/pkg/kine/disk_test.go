package kine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	sqlite3lib "modernc.org/sqlite/lib"
)

const (
	// patience is how long a client waits for a write, and for a read.
	patience     = time.Second
	readPatience = 2 * time.Second
	stallOfSync  = 3 * time.Second
)

// smooth lets everything pass; it spares the recorder what nobody replays.
func smooth(string, string) int32 { return sqlite3lib.SQLITE_OK }

// slowBy makes each sync take longer.
func slowBy(by time.Duration) hurdle {
	return func(kind, _ string) int32 {
		if kind == "sync" {
			time.Sleep(by)
		}
		return sqlite3lib.SQLITE_OK
	}
}

// failing fails what is of a kind.
func failing(kind string, rc int32) hurdle {
	return func(what, _ string) int32 {
		if what == kind {
			return rc
		}
		return sqlite3lib.SQLITE_OK
	}
}

// tally is what clients were told of their writes.
type tally struct {
	mu        sync.Mutex
	confirmed map[string]int64 // revision by key
	uncertain map[string]bool  // keys of creates that had an error
	errors    map[codes.Code]int
}

func (l *tally) add(key string, revision int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.confirmed[key] = revision
		return
	}
	l.uncertain[key] = true
	code := grpcstatus.Code(err)
	if errors.Is(err, context.DeadlineExceeded) {
		code = codes.DeadlineExceeded
	}
	l.errors[code]++
}

// counts are how many writes were confirmed and how many failed.
func (l *tally) counts() (confirmed, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.confirmed), len(l.uncertain)
}

// hammer creates keys from some clients at once until ctx ends.
func (l *tally) hammer(ctx context.Context, c *clientv3.Client, clients *sync.WaitGroup) {
	var n atomic.Int64
	for range 8 {
		clients.Go(func() {
			for ctx.Err() == nil {
				key := fmt.Sprintf("/registry/hammered/%d", n.Add(1))
				limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
				revision, created, err := create(limited, c, key, strings.Repeat("v", 500))
				cancel()
				if err == nil && !created {
					err = errors.New("the key is there")
				}
				l.add(key, revision, err)
			}
		})
	}
}

// lost are confirmed keys that are not as they were confirmed, and keys that are
// there though nobody wrote them.
func (l *tally) lost(t *testing.T, c *clientv3.Client) (lines []string) {
	t.Helper()
	all, err := c.Get(t.Context(), "/registry/hammered/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]int64{}
	for _, kv := range all.Kvs {
		there[string(kv.Key)] = kv.ModRevision
		if _, ok := l.confirmed[string(kv.Key)]; !ok && !l.uncertain[string(kv.Key)] || len(kv.Value) != 500 {
			lines = append(lines, fmt.Sprintf("%s with %d bytes is there", kv.Key, len(kv.Value)))
		}
	}
	for key, revision := range l.confirmed {
		if there[key] != revision {
			lines = append(lines, fmt.Sprintf("%s was confirmed at %d, %d is there", key, revision, there[key]))
		}
	}
	return lines
}

// follower is a client that watches from before the trouble on.
type follower struct {
	mu      sync.Mutex
	created map[string]int64
	deleted []string
	faults  []string
}

func follow(ctx context.Context, c *clientv3.Client) *follower {
	f := &follower{created: map[string]int64{}}
	events := c.Watch(ctx, "/registry/", clientv3.WithPrefix())
	go func() {
		var last int64
		for response := range events {
			f.mu.Lock()
			for _, e := range response.Events {
				if e.Kv.ModRevision <= last {
					f.faults = append(f.faults, fmt.Sprintf("%s at %d after %d", e.Kv.Key, e.Kv.ModRevision, last))
				}
				last = e.Kv.ModRevision
				if e.Type == clientv3.EventTypeDelete {
					f.deleted = append(f.deleted, string(e.Kv.Key))
				} else {
					f.created[string(e.Kv.Key)] = e.Kv.ModRevision
				}
			}
			f.mu.Unlock()
		}
	}()
	return f
}

// has says whether all of these writes were seen.
func (f *follower) has(writes map[string]int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, revision := range writes {
		if f.created[key] != revision {
			return false
		}
	}
	return true
}

func (f *follower) deletions(prefix string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.deleted), func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

// leased puts keys that expire after one second, two seconds and so on, and one
// that outlives the test. It returns the names in the order of their ends.
func leased(t *testing.T, c *clientv3.Client) (names []string) {
	t.Helper()
	for n, ttl := range []int64{1, 2, 3, 4, 3600} {
		lease, err := c.Grant(t.Context(), ttl)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("/registry/leased/%d", n)
		if _, err := c.Put(t.Context(), name, "1", clientv3.WithLease(lease.ID)); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// trouble is what a disk does for a while, and how the storage says so.
type trouble struct {
	name   string
	hurdle hurdle
	says   codes.Code // of the errors meanwhile
}

var troubles = []trouble{
	{"each sync takes 100 ms more", slowBy(100 * time.Millisecond), 0},
	{"each sync takes 3 s more", slowBy(stallOfSync), codes.DeadlineExceeded},
	{"writes fail", failing("write", sqlite3lib.SQLITE_IOERR_WRITE), codes.Unknown},
	{"syncs fail", failing("sync", sqlite3lib.SQLITE_IOERR_FSYNC), codes.Unknown},
	{"writes are short", failing("write", sqlite3lib.SQLITE_FULL), codes.Unknown},
}

// TestChaosDisk gives a storage under load a disk that is slow or fails, and then
// one that is well: writes that were confirmed are there, watchers saw them in
// order, leases ended in order, and all goes on by itself.
func TestChaosDisk(t *testing.T) {
	confirmed, failed, losses := 0, 0, 0
	chosen := troubles
	if testing.Short() {
		chosen = troubles[1:3] // one that is slow, one that fails
	}
	for _, each := range chosen {
		t.Run(each.name, func(t *testing.T) {
			r := newRecorder(t)
			usual := hurdle(smooth)
			r.hurdle.Store(&usual)
			told, lost := each.meet(t, r)
			for _, line := range lost {
				t.Error(line)
			}
			n, m := told.counts()
			confirmed, failed, losses = confirmed+n, failed+m, losses+len(lost)
		})
	}
	t.Attr("disk-troubles", strconv.Itoa(len(chosen)))
	t.Attr("disk-writes-confirmed", strconv.Itoa(confirmed))
	t.Attr("disk-writes-not-confirmed", strconv.Itoa(failed))
	t.Attr("disk-writes-lost", strconv.Itoa(losses))
}

// meet goes through the trouble, and back, and returns what was lost.
func (each trouble) meet(t *testing.T, r *recorder) (*tally, []string) {
	t.Helper()
	dir := t.TempDir()
	s := running(t, dir)
	c := client(t, s)
	watching, unwatch := context.WithCancel(t.Context())
	defer unwatch()
	seen := follow(watching, c)
	names := leased(t, c)
	told := &tally{confirmed: map[string]int64{}, uncertain: map[string]bool{}, errors: map[codes.Code]int{}}
	ctx, halt := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	told.hammer(ctx, c, &clients)
	told.more(t, 100, 0)

	bad, usual := each.hurdle, hurdle(smooth)
	r.hurdle.Store(&bad)
	if each.says != codes.OK {
		told.more(t, 0, 16)
	} else {
		told.more(t, 100, 0)
	}
	if readsPassWriters {
		reads(t, c, names[len(names)-1])
	}
	r.hurdle.Store(&usual)

	// What is under way may still end badly.
	within(t, time.Minute, "writes after the trouble", func() bool {
		_, before := told.counts()
		told.more(t, 100, 0)
		_, after := told.counts()
		return before == after
	})
	halt()
	clients.Wait()
	each.saidSo(t, told)
	within(t, time.Minute, "the watcher sees all", func() bool { return seen.has(told.confirmed) })
	within(t, time.Minute, "the leases end", func() bool { return len(seen.deletions("/registry/leased/")) >= len(names)-1 })
	got := seen.deletions("/registry/leased/")
	if each.says == codes.Unknown {
		slices.Sort(got) // deletes that failed are tried again, each in its time
	}
	if !slices.Equal(got, names[:len(names)-1]) || len(seen.faults) > 0 {
		t.Errorf("leases ended as %v; out of order: %v", got, seen.faults)
	}
	unwatch()
	c.Close()
	stop(t, s)
	again := client(t, started(t, dir))
	mustGet(t, again, names[len(names)-1])
	return told, told.lost(t, again)
}

// more waits until so many further writes are confirmed, or have failed.
func (l *tally) more(t *testing.T, confirmed, failed int) {
	t.Helper()
	begin, fell := l.counts()
	within(t, time.Minute, fmt.Sprintf("%d more writes, %d more failures", confirmed, failed), func() bool {
		now, down := l.counts()
		return now >= begin+confirmed && down >= fell+failed
	})
}

// reads holds that a read does not wait for the disk's writes.
func reads(t *testing.T, c *clientv3.Client, key string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readPatience)
	defer cancel()
	if got, err := c.Get(ctx, key); err != nil || len(got.Kvs) != 1 {
		t.Errorf("a read during the trouble: %v, %v", got, err)
	}
}

// saidSo wants that clients were told of the trouble.
func (each trouble) saidSo(t *testing.T, told *tally) {
	t.Helper()
	if each.says != codes.OK && told.errors[each.says] == 0 {
		t.Errorf("errors by code: %v", told.errors)
	}
}
