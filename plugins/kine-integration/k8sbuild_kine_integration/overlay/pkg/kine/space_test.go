package kine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// small is a file system of a size, which only root can make.
func small(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("SKIPPED: a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestFullDiskIsRefusedBeforeTheStart(t *testing.T) {
	for _, tc := range []struct {
		size, database, want string
	}{
		{"8m", "", "reserve 16 MiB for the database in "},
		{"3m", "old", "reserve 4 MiB for the database in "},
		{"8m", "old", ""},
		{"24m", "", ""},
	} {
		dir := small(t, tc.size)
		if err := os.WriteFile(filepath.Join(dir, databaseFile), []byte(tc.database), 0o600); err != nil {
			t.Fatal(err)
		}
		err := reserve(dir)
		if tc.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", tc, err)
			}
			continue
		}
		if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), tc.want+dir) {
			t.Errorf("%+v: got %v", tc, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%+v: left %v", tc, left)
		}
	}
}

func TestSpaceIsReservedBeforeTheDatabaseIsMade(t *testing.T) {
	dir := small(t, "1m")
	s := newStorage(t, dir)
	if err := s.Start(t.Context()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "db", databaseFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the database was made: %v", err)
	}
}
