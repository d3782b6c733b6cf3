package kine

import (
	"context"
	"database/sql"

	"github.com/k3s-io/kine/pkg/logstructured/sqllog"
	kineserver "github.com/k3s-io/kine/pkg/server"
)

// idleConnections is how many connections this Kine's idle log holds.
const idleConnections = 0

func eventsOf(rows *sql.Rows) ([]*kineserver.Event, error) {
	_, _, events, err := sqllog.RowsToEvents(rows, true, false)
	return events, err
}

// watched is closed when the events of a watch end.
func watched(ctx context.Context, backend kineserver.Backend) <-chan struct{} {
	done := make(chan struct{})
	watch := backend.Watch(ctx, "/registry/", "/registry0", 1)
	go func() {
		defer close(done)
		for range watch.Events {
		}
	}()
	return done
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
