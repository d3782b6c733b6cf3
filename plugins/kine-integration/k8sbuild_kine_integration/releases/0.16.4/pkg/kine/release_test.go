package kine

import (
	"context"
	"database/sql"
	"iter"

	"github.com/k3s-io/kine/pkg/drivers/generic"
	kineserver "github.com/k3s-io/kine/pkg/server"
)

// idleConnections is how many connections this Kine holds when nobody asks: that of its writers.
const idleConnections = 1

func eventsOf(rows *sql.Rows) ([]*kineserver.Event, error) {
	_, _, events, err := generic.RowsToEvents(rows, true, false)
	return events, err
}

// watched begins a watch of all keys and returns its events.
func watched(ctx context.Context, backend kineserver.Backend) iter.Seq[*kineserver.Event] {
	batches := backend.Watch(ctx, "/registry/", "/registry0", 1).Events
	return func(yield func(*kineserver.Event) bool) {
		for events := range batches {
			for _, event := range events {
				if !yield(event) {
					return
				}
			}
		}
	}
}

// waiting is what waits for this Kine's log beside watches, by name; each is closed when it ends.
func waiting(backend kineserver.Backend) map[string]<-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		backend.WaitForSyncTo(1 << 40)
	}()
	return map[string]<-chan struct{}{"WaitForSyncTo": done}
}

// readsPassWriters says whether reads go on while writes wait for the disk: writes
// that are not grouped hold a connection each.
const readsPassWriters = true
