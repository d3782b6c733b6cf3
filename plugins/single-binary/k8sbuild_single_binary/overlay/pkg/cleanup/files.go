package cleanup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// RemoveTree removes a folder with all that is in it. Of a disk that is mounted
// at it, or below, the files go and the empty folder stays.
func RemoveTree(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	left := 0
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, _ error) error {
		if d != nil && !d.IsDir() {
			left++
		}
		return nil
	})
	if left == 0 && busy(err) {
		return nil
	}
	return fmt.Errorf("remove %s: %w", dir, err)
}

// emptyLimit is how long the kernel may take to let go of a group whose
// processes have been killed.
const emptyLimit = 5 * time.Second

// RemoveCgroups removes control groups by name, below each tree that is mounted
// at root, and the groups in them. It returns how many there were. One with
// processes cannot be removed.
func RemoveCgroups(root string, names ...string) (int, error) {
	var errs []error
	removed := 0
	for _, name := range names {
		// Version 2 is one tree; in version 1 each controller has one.
		for _, pattern := range []string{filepath.Join(root, name), filepath.Join(root, "*", name)} {
			found, _ := filepath.Glob(pattern)
			for _, group := range found {
				n, err := removeGroup(group)
				removed += n
				errs = append(errs, err)
			}
		}
	}
	return removed, errors.Join(errs...)
}

func removeGroup(group string) (removed int, err error) {
	var groups []string
	err = filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			groups = append(groups, path)
		}
		return nil
	})
	for _, path := range slices.Backward(groups) {
		if e := removeEmpty(path); e != nil && !errors.Is(e, fs.ErrNotExist) {
			return removed, fmt.Errorf("remove the control group %s: %w", path, e)
		}
		removed++
	}
	return removed, err
}

func removeEmpty(group string) error {
	for deadline := time.Now().Add(emptyLimit); ; time.Sleep(20 * time.Millisecond) {
		// Not RemoveAll: the files of a group go with it.
		err := os.Remove(group)
		if !busy(err) || time.Now().After(deadline) {
			return err
		}
	}
}

func busy(err error) bool { return errors.Is(err, unix.EBUSY) }
