package kine

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	kineserver "github.com/k3s-io/kine/pkg/server"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

const (
	// limitInterval is how often the sizes are looked at, besides when writes may
	// have filled the room that there was.
	limitInterval = 250 * time.Millisecond
	// rowBytes is what a row takes besides its key and its values, at most.
	rowBytes = 512
	// keptOnDisk is left on the disk for the log of what makes room.
	keptOnDisk = newSpace

	// compactKey is where Kine keeps the API server's mark for compactions.
	compactKey = "compact_rev_key_apiserver"
)

// limit keeps a database, and the disk that it is on, from getting full. Once
// it is reached, creates and updates are refused as etcd does beyond its quota.
// Reads go on, and so do deletes and compactions, which make room.
type limit struct {
	dir     string
	max     int64 // bytes of the database
	kept    int64 // bytes of the disk
	db      *sql.DB
	looking sync.Mutex
	room    atomic.Int64           // bytes that may be written until the next look
	refusal atomic.Pointer[string] // why writes are refused, nil if they are not
}

// run looks at the sizes until ctx ends.
func (l *limit) run(ctx context.Context) {
	every(ctx, limitInterval, l.look, "Whether there is room for more stays unknown for now")
}

// look compares the sizes with the limit, and says when that changes something.
func (l *limit) look(ctx context.Context) error {
	l.looking.Lock()
	defer l.looking.Unlock()
	used, err := usedBytes(ctx, l.db)
	if err != nil {
		return err
	}
	free, err := freeBytes(l.dir)
	if err != nil {
		return err
	}
	l.room.Store(min(l.max-used, free-l.kept))
	now := refusal(filepath.Join(l.dir, databaseFile), used, l.max, free, l.kept)
	switch before := l.refusal.Swap(now); {
	case before == nil && now != nil:
		logrus.Errorf("Creates and updates are refused: %s", *now)
	case before != nil && now == nil:
		logrus.Infof("Creates and updates are taken again")
	}
	return nil
}

// refusal is why a database with these sizes takes no more, nil if it does.
func refusal(path string, used, max, free, kept int64) *string {
	var why string
	switch {
	case used >= max:
		why = fmt.Sprintf("the database %s holds %d MiB, and --database-max-size is %d: delete objects and wait for the next "+
			"compaction, vacuum it while the server is stopped, or raise the size", path, used/mebibyte, max/mebibyte)
	case free < kept:
		why = fmt.Sprintf("the disk of the database %s is full but for %d MiB, which deletes need: make room on it", path, free/mebibyte)
	default:
		return nil
	}
	return &why
}

// usedBytes is the size of the database, its log included, without free pages.
func usedBytes(ctx context.Context, db *sql.DB) (used int64, err error) {
	const query = "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
	if err := db.QueryRowContext(ctx, query).Scan(&used); err != nil {
		return 0, fmt.Errorf("ask for the size of the database: %w", err)
	}
	return used, nil
}

// freeBytes is what the file system of dir has for us.
func freeBytes(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("ask for the room in %s: %w", dir, err)
	}
	return int64(fs.Bavail) * fs.Bsize, nil
}

// pageLimit is where SQLite itself ends the growth of the file: a quarter above
// the limit and as much as its log, for deletes. They write a row each.
func pageLimit(max int64) string {
	return fmt.Sprintf("&_pragma=max_page_count(%d)", (max+max/4)/pageSize+autoCheckpointPages)
}

// take is nil if key may be created or updated, which writes so many bytes besides.
func (l *limit) take(ctx context.Context, key string, size int) error {
	if l.refusal.Load() == nil && l.room.Add(-int64(len(key)+size+rowBytes)) < 0 {
		if err := l.look(ctx); err != nil {
			logrus.Warnf("Whether there is room for %s stays unknown: %v", key, err)
		}
	}
	if why := l.refusal.Load(); why != nil && key != compactKey {
		return grpcstatus.Error(codes.ResourceExhausted, *why)
	}
	return nil
}

// bounded is a backend under a limit.
type bounded struct {
	kineserver.Backend
	limit *limit
}

// Create creates key unless the limit is reached.
func (b *bounded) Create(ctx context.Context, key string, value []byte, lease int64) (int64, error) {
	if err := b.limit.take(ctx, key, len(value)); err != nil {
		return 0, err
	}
	return b.Backend.Create(ctx, key, value, lease)
}

// Update updates key unless the limit is reached.
func (b *bounded) Update(ctx context.Context, key string, value []byte, revision, lease int64) (int64, *kineserver.KeyValue, bool, error) {
	// With some releases of Kine, a row keeps the value before as well.
	if err := b.limit.take(ctx, key, 2*len(value)); err != nil {
		return 0, nil, false, err
	}
	return b.Backend.Update(ctx, key, value, revision, lease)
}
