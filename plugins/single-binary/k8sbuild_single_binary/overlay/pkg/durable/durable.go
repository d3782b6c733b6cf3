// Package durable writes files so that they outlive a power loss whole.
//
// It imports no Kubernetes package.
package durable

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces a file whole: readers see the old or the new content, after
// a power loss as well, and no moment with wider permissions than mode.
func Write(path string, data []byte, mode os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return cannotWrite(path, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	// What follows a full disk says nothing more.
	err = cmp.Or(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err == nil {
		err = Sync(filepath.Dir(path))
	}
	if err != nil {
		return cannotWrite(path, err)
	}
	return nil
}

// cannotWrite names the file that is asked for, not the one that is written first.
func cannotWrite(path string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("write %s: %w", path, err)
}

// Sync makes what is in a file, or a rename in a directory, last.
func Sync(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}
