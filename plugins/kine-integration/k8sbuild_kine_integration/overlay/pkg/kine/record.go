package kine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k8sbuild.dev/distribution/pkg/durable"
)

// record is what a clean stop leaves: the database file as it was closed. It is
// taken away before the database is opened, so it never outlives a crash.
type record struct {
	Size  int64 `json:"size"`
	MTime int64 `json:"mtimeNanoseconds"`
}

// fits says whether the file at path is untouched since the record was made and
// no log waits beside it.
func (r *record) fits(path string) bool {
	if r == nil || hasLog(path) {
		return false
	}
	now, err := recordOf(path)
	return err == nil && *now == *r
}

func recordOf(path string) (*record, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &record{Size: info.Size(), MTime: info.ModTime().UnixNano()}, nil
}

// readRecord reads the record in dir. One that cannot be understood counts as
// none: the database is checked then.
func readRecord(dir string) (*record, error) {
	content, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the record of the last stop: %w", err)
	}
	var r record
	if json.Unmarshal(content, &r) != nil {
		return nil, nil
	}
	return &r, nil
}

// removeRecord takes the record in dir away, lastingly: else a power cut could
// bring it back beside a database that was written to.
func removeRecord(dir string) error { return removeNote(dir, recordFile) }

// removeNote removes a file of dir, if it is there, lastingly.
func removeNote(dir, name string) error {
	err := os.Remove(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = durable.Sync(dir)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// writeRecord records the closed database in dir.
func writeRecord(dir string) error {
	r, err := recordOf(filepath.Join(dir, databaseFile))
	if err != nil {
		return fmt.Errorf("record the clean stop: %w", err)
	}
	content, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("record the clean stop: %w", err)
	}
	path := filepath.Join(dir, recordFile)
	if err := durable.Write(path, content, 0o600); err != nil {
		return fmt.Errorf("record the clean stop: %w", err)
	}
	return nil
}

// opened is there while a server has the database open, and after it did not
// stop in order. The log belongs to the database then.
type opened struct {
	MaxBytes int64 `json:"maxBytes"`
}

// writeOpen notes that the database in dir is open, with its log beside it.
func writeOpen(dir string, maxBytes int64) error {
	content, err := json.Marshal(opened{MaxBytes: maxBytes})
	if err != nil {
		return fmt.Errorf("note that the database is open: %w", err)
	}
	return durable.Write(filepath.Join(dir, openFile), content, 0o600)
}

// readOpen is nil if no server opened the database in dir since it was closed in order.
func readOpen(dir string) (*opened, error) {
	content, err := os.ReadFile(filepath.Join(dir, openFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read whether the database is open: %w", err)
	}
	var o opened
	_ = json.Unmarshal(content, &o) // that it is there says enough
	return &o, nil
}

// removeOpen makes it last that the log may go.
func removeOpen(dir string) error { return removeNote(dir, openFile) }
