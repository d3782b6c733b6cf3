// Package lock keeps a second server off a data directory.
package lock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// FileName is the lock file's name inside the data directory.
const FileName = "server.lock"

// HeldError says that another process holds the lock.
type HeldError struct {
	Path string
	PID  int // 0 if the holder has not written its process id yet
}

func (e *HeldError) Error() string {
	holder := "another server"
	if e.PID > 0 {
		holder = fmt.Sprintf("another server (pid %d)", e.PID)
	}
	return fmt.Sprintf("the data directory %s is in use by %s; stop it first, or choose another --data-dir",
		filepath.Dir(e.Path), holder)
}

// Lock is a held lock. The kernel gives it up when the process ends, however it ends.
type Lock struct{ file *os.File }

// Acquire takes the lock of the data directory dir without waiting. The error
// is a *HeldError if another process has it.
func Acquire(dir string) (*Lock, error) {
	path := filepath.Join(dir, FileName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &HeldError{Path: path, PID: readPID(file)}
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := writePID(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("write process id to %s: %w", path, err)
	}
	return &Lock{file: file}, nil
}

// Release gives the lock up. The file stays, since removing it would let two
// processes lock two different files of the same name.
func (l *Lock) Release() error { return l.file.Close() }

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func readPID(file *os.File) int {
	buf := make([]byte, 32)
	n, _ := file.ReadAt(buf, 0)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	return pid
}
