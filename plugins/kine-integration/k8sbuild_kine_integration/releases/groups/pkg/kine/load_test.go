package kine

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/k3s-io/kine/pkg/metrics"
	dto "github.com/prometheus/client_model/go"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const objectSize = 1024

// A load is what some clients do at once. prepare makes what the operations of a
// round need and returns one of them.
type load struct {
	name                string
	clients, operations int // of a round
	rounds              int // by turns; short ones, since others use the machine, too
	prepare             func(t *testing.T, c *clientv3.Client, l load) operation
	watchers            int // each must see every operation before the round is over
}

// operation is told its number and its client's.
type operation func(ctx context.Context, client, n int) error

var loads = []load{
	{name: "create-1", clients: 1, operations: 100, rounds: 9, prepare: creating},
	{name: "create-16", clients: 16, operations: 1000, rounds: 9, prepare: creating},
	{name: "create-64", clients: 64, operations: 1000, rounds: 9, prepare: creating},
	{name: "update-16", clients: 16, operations: 1000, rounds: 9, prepare: updating},
	{name: "create-delete-16", clients: 16, operations: 500, rounds: 9, prepare: replacing},
	{name: "list-10000", clients: 2, operations: 10, rounds: 3, prepare: listing},
	{name: "watch-100", clients: 16, operations: 300, rounds: 5, prepare: creating, watchers: 100},
}

// round counts rounds, so that each has keys of its own.
var round atomic.Int64

func creating(_ *testing.T, c *clientv3.Client, _ load) operation {
	prefix, value := fmt.Sprintf("/registry/created/%d/", round.Add(1)), strings.Repeat("v", objectSize)
	return func(ctx context.Context, _, n int) error {
		_, err := put(ctx, c, fmt.Sprint(prefix, n), value, 0)
		return err
	}
}

func updating(t *testing.T, c *clientv3.Client, l load) operation {
	prefix, value := fmt.Sprintf("/registry/updated/%d/", round.Add(1)), strings.Repeat("v", objectSize)
	revisions := make([]int64, l.clients)
	for n := range revisions {
		revisions[n] = mustCreate(t, c, fmt.Sprint(prefix, n), value)
	}
	return func(ctx context.Context, client, _ int) (err error) {
		revisions[client], err = put(ctx, c, fmt.Sprint(prefix, client), value, revisions[client])
		return err
	}
}

func replacing(_ *testing.T, c *clientv3.Client, _ load) operation {
	prefix, value := fmt.Sprintf("/registry/replaced/%d/", round.Add(1)), strings.Repeat("v", objectSize)
	return func(ctx context.Context, _, n int) error {
		key := fmt.Sprint(prefix, n)
		revision, err := put(ctx, c, key, value, 0)
		if err != nil {
			return err
		}
		return committed(c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
			Then(clientv3.OpDelete(key)).Else(clientv3.OpGet(key)).Commit())
	}
}

func listing(t *testing.T, c *clientv3.Client, _ load) operation {
	const count = 10_000
	prefix, value := fmt.Sprintf("/registry/listed/%d/", round.Add(1)), strings.Repeat("v", objectSize)
	inParallel(t, 64, count, func(ctx context.Context, _, n int) error {
		_, err := put(ctx, c, fmt.Sprintf("%s%05d", prefix, n), value, 0)
		return err
	})
	return func(ctx context.Context, _, _ int) error {
		got, err := c.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithLimit(count))
		if err == nil && len(got.Kvs) != count {
			err = fmt.Errorf("%d of %d objects", len(got.Kvs), count)
		}
		return err
	}
}

// put writes key as the API server does, if its revision is the one that is given.
func put(ctx context.Context, c *clientv3.Client, key, value string, revision int64) (int64, error) {
	txn := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).Then(clientv3.OpPut(key, value))
	if revision != 0 {
		txn = txn.Else(clientv3.OpGet(key))
	}
	got, err := txn.Commit()
	if err := committed(got, err); err != nil {
		return 0, err
	}
	return got.Header.Revision, nil
}

func committed(got *clientv3.TxnResponse, err error) error {
	if err == nil && !got.Succeeded {
		return fmt.Errorf("refused at revision %d", got.Header.Revision)
	}
	return err
}

// inParallel does operations from some clients and returns how long each took.
func inParallel(t *testing.T, clients, operations int, do operation) []time.Duration {
	t.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	took := make([][]time.Duration, clients)
	for client := range clients {
		group.Go(func() {
			for n := int(next.Add(1)); n <= operations; n = int(next.Add(1)) {
				begin := time.Now()
				if err := do(t.Context(), client, n); err != nil {
					t.Error(err)
					return
				}
				took[client] = append(took[client], time.Since(begin))
			}
		})
	}
	group.Wait()
	return slices.Concat(took...)
}

// measured is what rounds of a load gave on one side.
type measured struct {
	rates []float64 // operations a second
	took  []time.Duration
	cpu   float64 // seconds, of the server
}

func (m *measured) run(t *testing.T, c *clientv3.Client, l load, server int) {
	t.Helper()
	do, seen := l.prepare(t, c, l), l.watch(t, c)
	begin, before := time.Now(), cpuOf(t, server)
	m.took = append(m.took, inParallel(t, l.clients, l.operations, do)...)
	seen.Wait()
	m.rates = append(m.rates, float64(l.operations)/time.Since(begin).Seconds())
	m.cpu += cpuOf(t, server) - before
}

func (m *measured) rate() float64 {
	slices.Sort(m.rates)
	return m.rates[len(m.rates)/2]
}

func (m *measured) p99() float64 {
	slices.Sort(m.took)
	return m.took[len(m.took)*99/100].Seconds() * 1000
}

func (m *measured) cpuEach() float64 { return m.cpu * 1000 / float64(len(m.took)) }

// TestLoadAgainstEtcd measures loads on Kine and on etcd, by turns, each in a
// process of its own, through the API that the API server uses, both syncing.
func TestLoadAgainstEtcd(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes minutes and --short was given: SQLite is NOT measured against etcd")
	}
	etcd := newEtcd(t)
	sqlite, pid := served(t)
	for _, l := range loads {
		var ours, theirs measured
		for range l.rounds {
			ours.run(t, sqlite, l, pid)
			theirs.run(t, etcd.Client, l, etcd.pid)
		}
		t.Attr(l.name, fmt.Sprintf("ratio %.2f; SQLite %.0f/s, p99 %.1f ms, CPU %.2f ms each; etcd %.0f/s, p99 %.1f ms, CPU %.2f ms each",
			ours.rate()/theirs.rate(), ours.rate(), ours.p99(), ours.cpuEach(), theirs.rate(), theirs.p99(), theirs.cpuEach()))
	}
}

// cpuOf is how many seconds of processor time a process has had.
func cpuOf(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(text), ") ") // the name may hold anything
	var user, system float64
	if _, err := fmt.Sscan(strings.Join(strings.Fields(fields)[11:13], " "), &user, &system); err != nil {
		t.Fatal(err)
	}
	const ticks = 100 // a second, on Linux
	return (user + system) / ticks
}

// groupsAndWrites are the transactions that were committed so far, and the writes in them.
func groupsAndWrites(t *testing.T) (uint64, float64) {
	t.Helper()
	var m dto.Metric
	if err := metrics.GroupSize.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()
}
