package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Options say what is installed where.
type Options struct {
	// Program is the program that is to be installed. What else is lies beside
	// it, as in the unpacked archive.
	Program string
	Layout  Layout
	// DataDir is the data directory of the server that will run.
	DataDir string
	// Dry changes nothing; Told is given what would become of each file.
	Dry bool
	// Told is given what became of each file.
	Told func(what, path string)
}

// What becomes of a file.
const (
	Written   = "installed"
	Unchanged = "unchanged"
	Kept      = "kept"
	Removed   = "removed"
)

// Install installs the program and what lies beside it. It writes nothing where
// a sum differs. What is there already is replaced in one step a file, the
// settings are kept. Doing it again changes nothing.
func Install(o Options) error {
	program, err := filepath.EvalSymlinks(o.Program)
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	s := sources{program: program, folder: filepath.Dir(program)}
	if err := s.look(); err != nil {
		return err
	}
	if _, err := verify([]string{s.folder, filepath.Dir(s.folder)}, s.all()); err != nil {
		return err
	}
	for _, step := range []func(sources) error{o.runtime, o.images, o.settings, o.unit, o.program, o.links} {
		if err := step(s); err != nil {
			return fmt.Errorf("install: %w", err)
		}
	}
	return nil
}

// sources is what there is to install.
type sources struct {
	program, folder string
	libexec         string
	programs        []string
	images          []string
}

func (s sources) unit() string     { return filepath.Join(s.folder, Name+".service") }
func (s sources) settings() string { return filepath.Join(s.folder, Name+".env.example") }

// ImagesPattern is the name of an archive of images among the artifacts.
const ImagesPattern = Name + "-images-*.tar*"

func (s *sources) look() error {
	if _, err := os.Stat(s.unit()); err != nil {
		return fmt.Errorf("there is no %s beside %s: unpack the whole archive, and run install from there", filepath.Base(s.unit()), s.program)
	}
	s.libexec = filepath.Join(s.folder, "libexec", Name)
	names, err := files(s.libexec)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.programs = names
	for _, folder := range []string{s.folder, filepath.Dir(s.folder)} {
		found, err := filepath.Glob(filepath.Join(folder, ImagesPattern))
		if err != nil {
			return err
		}
		s.images = append(s.images, found...)
	}
	return nil
}

// all are the files that are to be installed.
func (s sources) all() []string {
	list := append([]string{s.program, s.unit(), s.settings()}, s.images...)
	for _, name := range s.programs {
		list = append(list, filepath.Join(s.libexec, name))
	}
	return list
}

// change does something to a path and tells what became of it.
func (o Options) change(what, path string, do func() error) error {
	if !o.Dry {
		if err := do(); err != nil {
			return err
		}
	}
	o.Told(what, path)
	return nil
}

// renew writes what is at a path, unless it is the same already.
func (o Options) renew(path string, same bool, write func() error) error {
	if same {
		o.Told(Unchanged, path)
		return nil
	}
	return o.change(Written, path, write)
}

func (o Options) file(from, to string, mode fs.FileMode) error {
	same, err := equal(from, to, mode)
	if err != nil {
		return err
	}
	return o.renew(to, same, func() error { return place(from, to, mode) })
}

func (o Options) program(s sources) error { return o.file(s.program, o.Layout.Program(), 0o755) }
func (o Options) unit(s sources) error    { return o.file(s.unit(), o.Layout.Unit(), 0o644) }

func (o Options) runtime(s sources) error {
	if len(s.programs) == 0 {
		return nil
	}
	to := o.Layout.Libexec()
	same, err := equalTree(s.programs, s.libexec, to)
	if err != nil {
		return err
	}
	return o.renew(to, same, func() error { return placeTree(s.programs, s.libexec, to) })
}

// images puts the archives where the server looks for them, and takes away
// those of the version before.
func (o Options) images(s sources) error {
	if len(s.images) == 0 {
		return nil
	}
	folder := o.Layout.Images(o.DataDir)
	if !o.Dry {
		// The data directory is the server's alone.
		if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
			return err
		}
	}
	now := map[string]bool{}
	for _, image := range s.images {
		to := filepath.Join(folder, filepath.Base(image))
		now[to] = true
		if err := o.file(image, to, 0o644); err != nil {
			return err
		}
	}
	old, err := filepath.Glob(filepath.Join(folder, ImagesPattern))
	for _, path := range old {
		if now[path] {
			continue
		}
		if err := o.change(Removed, path, func() error { return os.Remove(path) }); err != nil {
			return err
		}
	}
	return err
}

// settings are the user's once they are there.
func (o Options) settings(s sources) error {
	to := o.Layout.Settings()
	if _, err := os.Lstat(to); err == nil {
		o.Told(Kept, to)
		return nil
	}
	if _, err := os.Stat(s.settings()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return o.file(s.settings(), to, 0o644)
}

// links gives the program its other names, unless something else has them.
func (o Options) links(sources) error {
	for _, name := range Links {
		path := o.Layout.Link(name)
		target, err := os.Readlink(path)
		if err == nil && target == Name {
			o.Told(Unchanged, path)
			continue
		}
		if _, err := os.Lstat(path); err == nil {
			o.Told(Kept, path)
			continue
		}
		if err := o.change(Written, path, func() error { return os.Symlink(Name, path) }); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes what Install installed but the images, which are in the data
// directory, and the settings where these are to be kept.
func Remove(l Layout, keepSettings bool, told func(what, path string)) error {
	var errs []error
	remove := func(path string, how func(string) error) {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return
		}
		err := how(path)
		if err == nil {
			told(Removed, path)
		}
		errs = append(errs, err)
	}
	remove(l.Unit(), os.Remove)
	if !keepSettings {
		remove(l.Settings(), os.Remove)
	}
	for _, name := range Links {
		if target, err := os.Readlink(l.Link(name)); err == nil && strings.TrimPrefix(target, "./") == Name {
			remove(l.Link(name), os.Remove)
		}
	}
	remove(l.Libexec(), os.RemoveAll)
	// Parents that nobody else uses.
	_ = os.Remove(filepath.Dir(l.Libexec()))
	remove(l.Program(), os.Remove)
	return errors.Join(errs...)
}
