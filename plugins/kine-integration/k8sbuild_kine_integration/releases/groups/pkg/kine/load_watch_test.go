package kine

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// watch begins the load's watchers, each with a connection of its own as those of
// the API server have. What it returns is over when all of them have seen every operation.
func (l load) watch(t *testing.T, c *clientv3.Client) *sync.WaitGroup {
	t.Helper()
	var seen sync.WaitGroup
	if l.watchers == 0 {
		return &seen
	}
	got, err := c.Get(t.Context(), "/registry/none")
	if err != nil {
		t.Fatal(err)
	}
	for n := range l.watchers {
		own, err := dialTo(c.Endpoints()[0], time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		seen.Go(func() {
			defer own.Close()
			if err := l.see(t.Context(), own, got.Header.Revision); err != nil {
				t.Errorf("watcher %d: %v", n, err)
			}
		})
	}
	return &seen
}

// see returns when a watch from after a revision has had an event of each operation, in order.
func (l load) see(ctx context.Context, c *clientv3.Client, after int64) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	missing, last := l.operations, after
	for response := range c.Watch(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithRev(after+1), clientv3.WithPrevKV()) {
		for _, event := range response.Events {
			if event.Kv.ModRevision <= last {
				return fmt.Errorf("revision %d comes after %d", event.Kv.ModRevision, last)
			}
			missing, last = missing-1, event.Kv.ModRevision
		}
		if missing == 0 {
			return nil
		}
		if err := response.Err(); err != nil {
			return fmt.Errorf("%d of %d events are missing: %w", missing, l.operations, err)
		}
	}
	return fmt.Errorf("%d of %d events are missing: %w", missing, l.operations, ctx.Err())
}
