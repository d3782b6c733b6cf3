package kine

import (
	"context"
	"fmt"
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

// BenchmarkCreate creates objects of 1 KiB from some clients at once, through the
// socket that the API server uses.
func BenchmarkCreate(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("%d-clients", clients), func(b *testing.B) {
			s := started(b, b.TempDir())
			c := client(b, s)
			value := strings.Repeat("v", 1024)
			measure(b, clients, func(ctx context.Context, n int64) error {
				_, created, err := create(ctx, c, fmt.Sprintf("/registry/configmaps/default/c-%d", n), value)
				if err == nil && !created {
					err = fmt.Errorf("key %d exists", n)
				}
				return err
			})
		})
	}
}

// BenchmarkUpdate updates objects of 1 KiB, each client its own.
func BenchmarkUpdate(b *testing.B) {
	s := started(b, b.TempDir())
	c := client(b, s)
	const clients = 16
	value := strings.Repeat("v", 1024)
	var revisions [clients]int64
	for n := range clients {
		revisions[n] = mustCreate(b, c, fmt.Sprintf("/registry/leases/%d", n), value)
	}
	measure(b, clients, func(ctx context.Context, n int64) error {
		own := int(n) % clients
		key := fmt.Sprintf("/registry/leases/%d", own)
		got, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", atomic.LoadInt64(&revisions[own]))).
			Then(clientv3.OpPut(key, value)).Else(clientv3.OpGet(key)).Commit()
		if err == nil && got.Succeeded {
			atomic.StoreInt64(&revisions[own], got.Header.Revision)
		}
		return err
	})
}

// measure runs b.N operations from some clients and reports what matters of them.
func measure(b *testing.B, clients int, operation func(context.Context, int64) error) {
	groups, grouped := groupsAndWrites(b)
	var next atomic.Int64
	var group sync.WaitGroup
	took := make([][]time.Duration, clients)
	b.ResetTimer()
	for n := range clients {
		group.Go(func() {
			for at := next.Add(1); at <= int64(b.N); at = next.Add(1) {
				begin := time.Now()
				if err := operation(b.Context(), at); err != nil {
					b.Error(err)
				}
				took[n] = append(took[n], time.Since(begin))
			}
		})
	}
	group.Wait()
	b.StopTimer()
	groupsAfter, groupedAfter := groupsAndWrites(b)
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
	b.ReportMetric(all[len(all)*99/100].Seconds()*1000, "p99-ms")
	if groupsAfter > groups {
		b.ReportMetric((groupedAfter-grouped)/float64(groupsAfter-groups), "writes/fsync")
	}
}

// groupsAndWrites are the transactions that were committed so far, and the writes in them.
func groupsAndWrites(b testing.TB) (uint64, float64) {
	b.Helper()
	var m dto.Metric
	if err := metrics.GroupSize.Write(&m); err != nil {
		b.Fatal(err)
	}
	return m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()
}
