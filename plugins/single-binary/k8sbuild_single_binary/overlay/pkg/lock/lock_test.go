package lock

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecondHolderIsRefusedByPID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space # % ?")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	first, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Acquire(dir)
	var held *HeldError
	if !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Fatalf("got %v, want a HeldError with pid %d", err, os.Getpid())
	}
	if !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
		t.Errorf("the message is not one line with the directory: %q", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := Acquire(dir)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	again.Release()
}

func TestRemovedFileGivesNobodyTheLock(t *testing.T) {
	dir := t.TempDir()
	first, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Release()
	path := filepath.Join(dir, FileName)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(dir); !errors.As(err, new(*HeldError)) {
		t.Errorf("got %v, want a HeldError", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the one that was refused made the file: %v", err)
	}
}

// Where a directory cannot be locked, the file's lock is all there is.
func TestFileAloneKeepsASecondOneOff(t *testing.T) {
	dir := t.TempDir()
	first, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Release()
	first.dir.Close()
	if _, err := Acquire(dir); !errors.As(err, new(*HeldError)) {
		t.Errorf("got %v, want a HeldError", err)
	}
}

func TestHolderWithoutPID(t *testing.T) {
	e := &HeldError{Path: "/data/server.lock"}
	if got := e.Error(); !strings.Contains(got, "/data is in use by another server;") {
		t.Errorf("got %q", got)
	}
}

func TestMissingDirectory(t *testing.T) {
	if _, err := Acquire(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestHolderIsSeenWithoutTakingTheLock(t *testing.T) {
	dir := t.TempDir()
	if got := Holder(dir); got != 0 {
		t.Errorf("got %d without a file", got)
	}
	l, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := Holder(dir); got != os.Getpid() {
		t.Errorf("got %d, want %d", got, os.Getpid())
	}
	if got := holder(dir, dir+"/none"); got != 0 {
		t.Errorf("got %d where the kernel does not say", got)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if got := Holder(dir); got != 0 {
		t.Errorf("got %d after the release", got)
	}
}
