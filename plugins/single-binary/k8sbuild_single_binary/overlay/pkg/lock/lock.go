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
	PID  int // 0 if the holder has not written its process id yet, or the file is gone
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
type Lock struct{ dir, file *os.File }

// Acquire takes the lock of the data directory dir without waiting. The error
// is a *HeldError if another process has it.
//
// Both the directory and a file in it are locked. The directory's lock holds
// when somebody removes the file, the file's where directories cannot be
// locked, as on NFS; the file also says who holds it.
func Acquire(dir string) (_ *Lock, err error) {
	path := filepath.Join(dir, FileName)
	l := &Lock{}
	defer func() {
		if err != nil {
			l.Release()
		}
	}()
	if l.dir, err = os.Open(dir); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	if err := exclusive(l.dir); errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, held(path)
	}
	if l.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := exclusive(l.file); errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, held(path)
	} else if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := writePID(l.file); err != nil {
		return nil, fmt.Errorf("write process id: %w", err)
	}
	return l, nil
}

func exclusive(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// Release gives the lock up. The file stays, since removing it would let two
// processes lock two different files of the same name.
func (l *Lock) Release() error {
	var errs []error
	for _, file := range []*os.File{l.file, l.dir} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// Holder is the process that has the lock of the data directory dir, or 0. It
// only looks: taking the lock could keep a server from it that starts now.
func Holder(dir string) int { return holder(dir, "/proc/locks") }

func holder(dir, locks string) int {
	path := filepath.Join(dir, FileName)
	pid := held(path).PID
	info, err := os.Stat(path)
	text, e := os.ReadFile(locks)
	if pid == 0 || err != nil || e != nil {
		return 0
	}
	inode := fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino)
	for line := range strings.Lines(string(text)) {
		// As in "7: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF".
		fields := strings.Fields(line)
		if len(fields) > 5 && fields[1] == "FLOCK" && fields[4] == strconv.Itoa(pid) && strings.HasSuffix(fields[5], ":"+inode) {
			return pid
		}
	}
	return 0
}

func held(path string) *HeldError {
	text, _ := os.ReadFile(path)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return &HeldError{Path: path, PID: pid}
}
