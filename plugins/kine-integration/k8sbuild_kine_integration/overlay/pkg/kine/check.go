package kine

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"
	sqlite3 "modernc.org/sqlite"
	sqlite3lib "modernc.org/sqlite/lib"
)

// headerSize is the size of an SQLite file's header, see "The Database Header"
// in SQLite's description of its file format.
const headerSize = 100

// writeAccess is access(2)'s W_OK.
const writeAccess = 2

var magic = []byte("SQLite format 3\x00")

// DamagedError says that the database file cannot be used. Trying again does not help.
type DamagedError struct {
	Path   string
	Detail string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the database %s is damaged (%s): put a backup in its place, "+
		"or move the folder %s away to begin with an empty cluster", e.Path, e.Detail, filepath.Dir(e.Path))
}

// checkDatabase returns nil if the database in dir may be opened: it does not
// exist yet, was closed in order and not touched since, or passes quick_check.
func checkDatabase(ctx context.Context, dir string) error {
	path := filepath.Join(dir, databaseFile)
	last, err := readRecord(dir)
	if err != nil {
		return err
	}
	open, err := readOpen(dir)
	if err != nil {
		return err
	}
	isNew, err := checkHeader(path)
	// A power cut can tear the header while SQLite writes it; the log has it whole then.
	torn := errors.As(err, new(*DamagedError)) && hasLog(path)
	if err != nil && !torn {
		return err
	}
	if isNew {
		return checkNew(path, last, open)
	}
	if err := checkLog(path, open); err != nil {
		return err
	}
	clean := !torn && last.fits(path)
	// The log goes when the check below closes the database.
	if err := errors.Join(removeRecord(dir), removeOpen(dir)); err != nil {
		return err
	}
	if clean {
		return nil
	}
	logrus.Infof("Checking %s, since the last stop was not a clean one", path)
	return quickCheck(ctx, path)
}

// checkHeader reads the header of the database at path. It says whether the
// database is still to be created: absent, or empty since SQLite creates the file first.
func checkHeader(path string) (isNew bool, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("open database: %w", err)
	}
	defer file.Close()
	header := make([]byte, headerSize)
	n, err := io.ReadFull(file, header)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, fmt.Errorf("read the header of database %s: %w", path, err)
	}
	if detail := headerFault(header[:n]); detail != "" {
		return false, &DamagedError{Path: path, Detail: detail}
	}
	return false, nil
}

// headerFault says what is wrong with an SQLite header, "" if nothing is.
func headerFault(header []byte) string {
	if len(header) < headerSize {
		return fmt.Sprintf("it ends after %d bytes, within its header", len(header))
	}
	if !bytes.HasPrefix(header, magic) {
		return "it does not begin like an SQLite file"
	}
	// 1 stands for 65536, which does not fit.
	if size := binary.BigEndian.Uint16(header[16:]); size != 1 && (size < 512 || size&(size-1) != 0) {
		return fmt.Sprintf("its header names a page size of %d", size)
	}
	return ""
}

// hasLog says whether a log waits beside the database at path: what was written
// but is not in it yet, or what was in it before it was half written.
func hasLog(path string) bool {
	for _, suffix := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(path + suffix); err == nil && info.Size() > 0 {
			return true
		}
	}
	return false
}

// checkNew refuses to begin anew where there was something: SQLite would throw
// the log beside an empty database away without a word.
func checkNew(path string, last *record, open *opened) error {
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		return &DamagedError{Path: path, Detail: "it is empty or gone, but its log " + info.Name() + " is not"}
	}
	if last != nil && last.Size > 0 {
		return &DamagedError{Path: path, Detail: fmt.Sprintf("it is empty or gone, but had %d bytes at the last stop", last.Size)}
	}
	if open != nil {
		return &DamagedError{Path: path, Detail: "it is empty or gone, but a server had it open"}
	}
	return nil
}

// checkLog refuses a database whose log somebody took away after a stop that was
// not clean: what was confirmed last was in there, and its revisions would be
// given out again. It also refuses one that cannot be written.
func checkLog(path string, open *opened) error {
	if err := syscall.Access(path, writeAccess); err != nil {
		return fmt.Errorf("write to the database %s: %w", path, err)
	}
	if open == nil {
		return nil
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	log := filepath.Base(path) + "-wal"
	return &DamagedError{Path: path, Detail: fmt.Sprintf("its log %s is gone, with what was written before an unclean stop; "+
		"to do without, remove %s beside it", log, openFile)}
}

// openDatabase opens the existing database at path beside Kine; mode is mode=rw or mode=ro.
func openDatabase(path, mode string) (*sql.DB, error) {
	uri := url.URL{Scheme: "file", Path: path, RawQuery: mode + "&_pragma=busy_timeout(30000)"}
	connector, err := sqlite3.NewConnector(uri.String())
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return db, nil
}

// quickCheck lets SQLite look through the whole database, its log included.
func quickCheck(ctx context.Context, path string) (err error) {
	db, err := openDatabase(path, "mode=rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	// One finding is enough to refuse the file.
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return checkFailed(ctx, path, err)
	}
	if verdict != "ok" {
		return &DamagedError{Path: path, Detail: strings.ReplaceAll(verdict, "\n", " ")}
	}
	return nil
}

// checkFailed tells damage from what says nothing about the file.
func checkFailed(ctx context.Context, path string, err error) error {
	var fault *sqlite3.Error
	if ctx.Err() == nil && errors.As(err, &fault) {
		switch fault.Code() & 0xff {
		case sqlite3lib.SQLITE_CORRUPT, sqlite3lib.SQLITE_NOTADB:
			return &DamagedError{Path: path, Detail: fault.Error()}
		}
	}
	return fmt.Errorf("check database %s: %w", path, err)
}

// checkpoint writes the log back into the closed database of dir and empties it.
func checkpoint(ctx context.Context, dir string) (err error) {
	path := filepath.Join(dir, databaseFile)
	db, err := openDatabase(path, "mode=rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var busy, logged, moved int
	if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved); err != nil {
		return fmt.Errorf("write the log of %s back: %w", path, err)
	}
	if busy != 0 {
		return fmt.Errorf("write the log of %s back: another process has the database open", path)
	}
	return nil
}
