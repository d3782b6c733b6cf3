package kine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	mebibyte = 1 << 20
	// A new cluster's first objects fill SQLite's log, which is written back at
	// 4 MiB, and two more. One that is there needs room for the log.
	newSpace = 16 * mebibyte
	oldSpace = 4 * mebibyte
)

// reserve refuses a disk that is too full to begin with. Without it, the API
// server starts on a storage that refuses each write, and says so in thousands
// of lines. The room is asked for and given back, since what a file system says
// is free knows of no quota.
func reserve(dir string) error {
	size := int64(newSpace)
	if info, err := os.Stat(filepath.Join(dir, databaseFile)); err == nil && info.Size() > 0 {
		size = oldSpace
	}
	err := allocate(dir, size)
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return nil // a file system that cannot be asked
	}
	if err != nil {
		return fmt.Errorf("reserve %d MiB for the database in %s: %w", size/mebibyte, dir, err)
	}
	return nil
}

// allocate takes size bytes of the file system of dir and gives them back.
func allocate(dir string, size int64) error {
	file, err := os.CreateTemp(dir, ".space-*")
	if err != nil {
		return err
	}
	defer file.Close()
	if err := os.Remove(file.Name()); err != nil {
		return err
	}
	for {
		// A signal, of which Go's runtime sends itself some, breaks it off.
		if err := syscall.Fallocate(int(file.Fd()), 0, 0, size); err != syscall.EINTR {
			return err
		}
	}
}
