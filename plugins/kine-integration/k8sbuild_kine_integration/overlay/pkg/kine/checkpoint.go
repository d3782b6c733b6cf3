package kine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

const (
	// checkpointInterval is how often the log is looked at.
	checkpointInterval = 250 * time.Millisecond

	// From logTurn on, writers wait until the last part of the log is written
	// back, which is short, so that SQLite begins it anew. It cannot while a
	// reader needs the log; writers wait for readers this long at most.
	logTurn     = 8 * mebibyte
	readersWait = "PRAGMA busy_timeout = 50"

	// Writers write the log back themselves should it get this far, in pages of
	// 4 KiB, and a log that was longer is cut when it begins anew.
	autoCheckpointPages = 32 * mebibyte / pageSize
	pageSize            = 4096
)

// checkpointer writes SQLite's log back into the database beside the writers.
// SQLite's own way is that each writer that finds the log long enough does so,
// with two more syncs of the disk, while all others wait for it.
type checkpointer struct {
	conn    *sql.Conn
	log     string // its path
	writers sync.Locker
	seen    time.Time
}

// newCheckpointer takes a connection of db for itself.
func newCheckpointer(ctx context.Context, db *sql.DB, path string, writers sync.Locker) (*checkpointer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to write the log back: %w", err)
	}
	if _, err := conn.ExecContext(ctx, readersWait); err != nil {
		return nil, errors.Join(fmt.Errorf("set how long to wait for readers: %w", err), conn.Close())
	}
	return &checkpointer{conn: conn, log: path + "-wal", writers: writers}, nil
}

// run works until ctx ends.
func (c *checkpointer) run(ctx context.Context) {
	defer c.conn.Close()
	every(ctx, checkpointInterval, c.turn, fmt.Sprintf("The log %s stays as it is for now", c.log))
}

// turn writes back what was logged since the last one.
func (c *checkpointer) turn(ctx context.Context) error {
	info, err := os.Stat(c.log) // opening it would drop SQLite's locks when it is closed
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || info.Size() == 0 || info.ModTime().Equal(c.seen) {
		return err
	}
	logged, moved, err := c.checkpoint(ctx, "PASSIVE") // waits for nobody
	if err == nil && logged*pageSize >= logTurn {
		c.writers.Lock()
		defer c.writers.Unlock()
		logged, moved, err = c.checkpoint(ctx, "RESTART")
	}
	if err == nil && logged == moved {
		c.seen = info.ModTime()
	}
	return err
}

// checkpoint returns how many pages are logged, and how many of them have been
// written back.
func (c *checkpointer) checkpoint(ctx context.Context, mode string) (logged, moved int, err error) {
	var busy int
	err = c.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &logged, &moved)
	if err != nil {
		return 0, 0, fmt.Errorf("write the log back: %w", err)
	}
	return logged, moved, nil
}
