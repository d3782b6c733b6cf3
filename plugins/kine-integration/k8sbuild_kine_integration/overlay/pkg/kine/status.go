package kine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/lock"
)

// status says what is in a database.
type status struct {
	Path            string `json:"path"`
	Running         bool   `json:"running"`
	DatabaseBytes   int64  `json:"databaseBytes"`
	FreeBytes       int64  `json:"freeBytes"`
	LogBytes        int64  `json:"logBytes"`
	MaxBytes        int64  `json:"maxBytes,omitempty"` // as the server was told that has it open
	Refusal         string `json:"refusal,omitempty"`  // why that server takes no writes
	Keys            int64  `json:"keys"`
	Rows            int64  `json:"revisions"`
	Revision        int64  `json:"revision"`
	CompactRevision int64  `json:"compactRevision"`
}

// bookkeeping are the names of rows that are Kine's own.
const bookkeeping = `name = 'compact_rev_key' OR name LIKE 'gap-%'`

// counts are columns of status in their order. A bare column beside MAX is of the same row.
const counts = `SELECT
	(SELECT COUNT(*) FROM (SELECT MAX(id), deleted, name FROM kine GROUP BY name) WHERE deleted = 0 AND NOT (` + bookkeeping + `)),
	(SELECT COUNT(*) FROM kine WHERE NOT (` + bookkeeping + `)),
	(SELECT COALESCE(MAX(id), 0) FROM kine),
	(SELECT COALESCE(MAX(prev_revision), 0) FROM kine WHERE name = 'compact_rev_key'),
	(SELECT page_count * page_size FROM pragma_page_count, pragma_page_size),
	(SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size)`

// statusOf looks at the database in dir, beside a server that may run.
func statusOf(ctx context.Context, dir string) (_ *status, err error) {
	s := &status{Path: filepath.Join(dir, databaseFile), Running: answers(dir)}
	db, err := openForReading(s.Path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.QueryRowContext(ctx, counts).Scan(&s.Keys, &s.Rows, &s.Revision, &s.CompactRevision, &s.DatabaseBytes, &s.FreeBytes)
	if err != nil {
		return nil, checkFailed(ctx, s.Path, err)
	}
	if info, err := os.Stat(s.Path + "-wal"); err == nil {
		s.LogBytes = info.Size()
	}
	return s, s.addLimit(dir)
}

// addLimit adds what the server that has the database in dir open lets it hold.
func (s *status) addLimit(dir string) error {
	open, err := readOpen(dir)
	if err != nil || open == nil || open.MaxBytes == 0 {
		return err
	}
	free, err := freeBytes(dir)
	if err != nil {
		return err
	}
	s.MaxBytes = open.MaxBytes
	if why := refusal(s.Path, s.DatabaseBytes-s.FreeBytes, s.MaxBytes, free, keptOnDisk); why != nil {
		s.Refusal = *why
	}
	return nil
}

// openForReading opens the database at path of a server that may run, in a
// process that is not the server's.
func openForReading(path string) (*sql.DB, error) {
	isNew, err := checkHeader(path)
	if err == nil && isNew {
		err = noDatabase(path)
	}
	if err != nil && !(errors.As(err, new(*DamagedError)) && hasLog(path)) {
		return nil, err
	}
	return openDatabase(path, "mode=ro")
}

func noDatabase(path string) error {
	return fmt.Errorf("there is no database at %s: is --data-dir right?", path)
}

// answers says whether a server on the database in dir answers.
func answers(dir string) bool {
	held, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer held.Close()
	// The path may be longer than a socket's address.
	conn, err := net.Dial("unix", fmt.Sprintf("/proc/self/fd/%d/%s", held.Fd(), socketFile))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// verify looks through the whole database at path, its indexes included.
func verify(ctx context.Context, path string) (err error) {
	db, err := openForReading(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return checkFailed(ctx, path, err)
	}
	if verdict != "ok" {
		return &DamagedError{Path: path, Detail: strings.ReplaceAll(verdict, "\n", " ")}
	}
	return nil
}

// hold keeps servers off cfg's data directory, whose database's directory must be there.
func hold(cfg *config.Config) (release func() error, err error) {
	whole, err := lock.Acquire(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	database, err := lock.Acquire(cfg.DBDir())
	if err != nil {
		return nil, errors.Join(err, whole.Release())
	}
	return func() error { return errors.Join(database.Release(), whole.Release()) }, nil
}

// vacuum makes the database of cfg as small as what is in it. It returns the sizes of the file before and after.
func vacuum(ctx context.Context, cfg *config.Config) (before, after int64, err error) {
	dir := cfg.DBDir()
	path := filepath.Join(dir, databaseFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, noDatabase(path)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("find the database: %w", err)
	}
	release, err := hold(cfg)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := checkDatabase(ctx, dir); err != nil {
		return 0, 0, err
	}
	if err := execute(ctx, path, "VACUUM"); err != nil {
		return 0, 0, fmt.Errorf("vacuum %s: %w (it is as it was)", path, err)
	}
	if err := checkpoint(ctx, dir); err != nil {
		return 0, 0, err
	}
	if err := writeRecord(dir); err != nil {
		return 0, 0, err
	}
	now, err := os.Stat(path)
	if err != nil {
		return 0, 0, err
	}
	return info.Size(), now.Size(), nil
}

// execute runs one statement on the closed database at path.
func execute(ctx context.Context, path, statement string, args ...any) (err error) {
	db, err := openDatabase(path, "mode=rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, statement, args...)
	return err
}
