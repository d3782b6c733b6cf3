package kine

import (
	"context"
	"database/sql"
	"iter"

	"github.com/k3s-io/kine/pkg/logstructured/sqllog"
	kineserver "github.com/k3s-io/kine/pkg/server"
)

// idleConnections is how many connections this Kine's idle log holds.
const idleConnections = 0

func eventsOf(rows *sql.Rows) ([]*kineserver.Event, error) {
	batch, _, err := sqllog.RowsToEvents(rows, true, false)
	return batch.Events, err
}

// watched begins a watch of all keys and returns its events.
func watched(ctx context.Context, backend kineserver.Backend) iter.Seq[*kineserver.Event] {
	batches := backend.Watch(ctx, 1).Eventc
	return func(yield func(*kineserver.Event) bool) {
		for batch := range batches {
			for _, event := range batch.Events {
				if !yield(event) {
					return
				}
			}
		}
	}
}

// waiting is what waits for this Kine's log beside watches: nothing.
func waiting(kineserver.Backend) map[string]<-chan struct{} { return map[string]<-chan struct{}{} }

// readsPassWriters says whether reads go on while writes wait for the disk: writes
// that are not grouped hold a connection each.
const readsPassWriters = true
