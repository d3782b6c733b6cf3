package install

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"k8sbuild.dev/distribution/pkg/durable"
)

// place puts a copy of a file at a path in one step: who runs or reads the old
// one goes on with it.
func place(from, to string, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	draft, err := copyTo(from, filepath.Dir(to), mode)
	if err != nil {
		return err
	}
	if err := os.Rename(draft, to); err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	return durable.Sync(filepath.Dir(to))
}

func equal(from, to string, mode fs.FileMode) (bool, error) {
	info, err := os.Lstat(to)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != mode {
		return false, err
	}
	old, err := digest(to)
	if err != nil {
		return false, err
	}
	made, err := digest(from)
	return old == made, err
}

// copyTo makes a copy under a name of its own in a folder.
func copyTo(from, folder string, mode fs.FileMode) (path string, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.CreateTemp(folder, "."+filepath.Base(from)+"-*")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(mode), out.Sync(), out.Close())
	if err != nil {
		return "", errors.Join(fmt.Errorf("copy %s: %w", from, err), os.Remove(out.Name()))
	}
	return out.Name(), nil
}

// placeTree puts a copy of a folder's programs at a path in one step.
func placeTree(names []string, from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	draft, err := os.MkdirTemp(filepath.Dir(to), "."+filepath.Base(to)+"-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(draft)
	for _, name := range names {
		if err := place(filepath.Join(from, name), filepath.Join(draft, name), 0o755); err != nil {
			return err
		}
	}
	if err := errors.Join(os.Chmod(draft, 0o755), swap(draft, to)); err != nil {
		return err
	}
	return durable.Sync(filepath.Dir(to))
}

// swap gives the draft the folder's name; an old folder gets the draft's.
func swap(draft, to string) error {
	err := os.Rename(draft, to)
	if errors.Is(err, fs.ErrExist) {
		err = unix.Renameat2(unix.AT_FDCWD, draft, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
	}
	return err
}

func equalTree(names []string, from, to string) (bool, error) {
	old, err := files(to)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || len(old) != len(names) {
		return false, err
	}
	for _, name := range names {
		same, err := equal(filepath.Join(from, name), filepath.Join(to, name), 0o755)
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// files are the names of the files in a folder.
func files(folder string) (names []string, err error) {
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}
