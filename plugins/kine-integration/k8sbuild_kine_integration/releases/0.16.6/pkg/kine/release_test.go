package kine

import (
	"context"
	"database/sql"

	"github.com/k3s-io/kine/pkg/logstructured/sqllog"
	kineserver "github.com/k3s-io/kine/pkg/server"
)

// idleConnections is how many connections this Kine's idle log holds.
const idleConnections = 1

func eventsOf(rows *sql.Rows) ([]*kineserver.Event, error) {
	batch, _, err := sqllog.RowsToEvents(rows, true, false)
	return batch.Events, err
}

// watched is closed when the events of a watch end.
func watched(ctx context.Context, backend kineserver.Backend) <-chan struct{} {
	done := make(chan struct{})
	watch := backend.Watch(ctx, 1)
	go func() {
		defer close(done)
		for range watch.Eventc {
		}
	}()
	return done
}

// waiting is what waits for this Kine's log beside watches: nothing.
func waiting(kineserver.Backend) map[string]<-chan struct{} { return map[string]<-chan struct{}{} }
