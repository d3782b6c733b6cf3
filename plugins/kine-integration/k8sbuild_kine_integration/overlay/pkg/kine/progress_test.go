package kine

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestProgressNeverOvertakesEvents holds what the API server builds on when it
// answers a consistent list from its cache: once a watch has been told that a
// revision was reached, no event of that revision or an older one follows.
func TestProgressNeverOvertakesEvents(t *testing.T) {
	// Each client has a stream of its own, on which Kine sends progress ten times
	// a second: many streams are many chances within a short test.
	const clients, writers, each = 24, 4, 400
	s := started(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	asking, stopAsking := context.WithCancel(ctx)
	var watches, group sync.WaitGroup
	for range clients {
		c := client(t, s)
		for w := range writers {
			prefix := fmt.Sprintf("/registry/%d/", w)
			events := c.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify(), clientv3.WithProgressNotify())
			if created := <-events; !created.Created {
				t.Fatalf("the watch was not created: %v", created)
			}
			watches.Go(func() { inOrder(t, events, each) })
		}
		watches.Go(func() { askForProgress(asking, c) })
	}
	c := client(t, s)
	for w := range writers {
		group.Go(func() {
			for n := range each {
				if _, created, err := create(ctx, c, fmt.Sprintf("/registry/%d/%d", w, n), "x"); err != nil || !created {
					t.Errorf("create: %v %v", created, err)
				}
				time.Sleep(time.Millisecond) // idle watches are the ones that can be overtaken
			}
		})
	}
	group.Wait()
	time.AfterFunc(500*time.Millisecond, stopAsking)
	watches.Wait()
}

func askForProgress(ctx context.Context, c *clientv3.Client) {
	for ctx.Err() == nil {
		c.RequestProgress(ctx)
		time.Sleep(20 * time.Millisecond)
	}
}

// inOrder reads n events and then one progress notification, and fails the test
// when an event is behind what was told before.
func inOrder(t *testing.T, events clientv3.WatchChan, n int) {
	var told int64
	for response := range events {
		for _, event := range response.Events {
			n--
			if event.Kv.ModRevision <= told {
				t.Errorf("event %d comes after progress %d", event.Kv.ModRevision, told)
			}
		}
		if response.IsProgressNotify() {
			if response.Header.Revision < told {
				t.Errorf("progress %d comes after progress %d", response.Header.Revision, told)
			}
			told = response.Header.Revision
			if n == 0 {
				return
			}
		}
	}
	t.Errorf("the watch ended %d events early", n)
}
