package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/install"
)

// runtime is what takes the images.
type runtime interface {
	Import(ctx context.Context, tar io.Reader) (names []string, err error)
	Has(ctx context.Context, name string) bool
}

// folder imports the files of a folder, and those that are shipped beside the program.
type folder struct {
	dir, beside string
	notes       notes
	runtime     runtime
	// report tells the cluster's users what is wrong with a file.
	report func(reason, message string)
	// refused are the files that could not be imported, as they were then.
	refused map[string]note
}

// keep imports what is there, calls done, and imports what comes, until ctx is over.
func (f *folder) keep(ctx context.Context, done func()) error {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of images: %w", err)
	}
	changes, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch the folder of images: %w", err)
	}
	defer changes.Close()
	if err := changes.Add(f.dir); err != nil {
		return fmt.Errorf("watch the folder of images: %w", err)
	}
	if err := f.notes.read(); err != nil {
		klog.ErrorS(err, "What was imported before is not known, so all is imported again")
	}
	f.refused = map[string]note{}
	next := f.pass(ctx)
	for ; next != nil; next = f.pass(ctx) {
		select {
		case <-next:
		case <-ctx.Done():
			return nil
		}
	}
	done()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changes.Events:
			next = time.After(settled)
		case err := <-changes.Errors:
			klog.ErrorS(err, "Changes in the folder of images may have been missed")
			next = time.After(settled)
		case <-next:
			next = f.pass(ctx)
		}
	}
}

// pass imports each file that is new or changed. A file that somebody may still
// write is left for the pass that begins when the channel says so.
func (f *folder) pass(ctx context.Context) (again <-chan time.Time) {
	for _, path := range f.files() {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || f.done(ctx, path, info) {
			continue
		}
		if time.Since(info.ModTime()) < settled {
			again = time.After(settled)
			continue
		}
		f.take(ctx, path, info)
		if ctx.Err() != nil {
			return nil
		}
	}
	return again
}

// files are the paths of all files with images: the distribution's first.
func (f *folder) files() []string {
	paths, _ := filepath.Glob(filepath.Join(f.beside, install.ImagesPattern))
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		klog.ErrorS(err, "Cannot read the folder of images")
	}
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, ".") && slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) }) {
			paths = append(paths, filepath.Join(f.dir, name))
		}
	}
	return paths
}

// done says whether a file is as it was when it was last imported, with its
// images still there, or when it was refused.
func (f *folder) done(ctx context.Context, path string, info fs.FileInfo) bool {
	if f.refused[path].is(info) {
		return true
	}
	known := f.notes.known[path]
	return known.is(info) && !slices.ContainsFunc(known.Images, func(name string) bool { return !f.runtime.Has(ctx, name) })
}

// take imports a file. What is wrong with one stops no other.
func (f *folder) take(ctx context.Context, path string, info fs.FileInfo) {
	begun := time.Now()
	found, err := f.imported(ctx, path)
	found.Size, found.Modified = info.Size(), info.ModTime().UnixNano()
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		f.refused[path] = found
		klog.ErrorS(err, "Images are not imported", "file", path)
		f.report("ImagesNotImported", fmt.Sprintf("%s: %v", path, err))
		return
	}
	klog.InfoS("Imported images", "file", path, "images", found.Images, "took", time.Since(begun).Round(time.Millisecond))
	f.notes.known[path] = found
	f.forget()
	if err := f.notes.write(); err != nil {
		klog.ErrorS(err, "These images will be imported again at the next start", "file", path)
	}
}

func (f *folder) imported(ctx context.Context, path string) (n note, err error) {
	room, err := room(f.dir)
	if err != nil {
		return n, err
	}
	a, err := open(path, room)
	if err != nil {
		return n, err
	}
	defer a.Close()
	if n.Images, err = f.runtime.Import(ctx, a); err != nil {
		return n, err
	}
	if len(n.Images) == 0 {
		return n, errors.New("it names no image for this machine")
	}
	n.Digest, err = a.Digest()
	return n, err
}

// forget drops the notes of files that are gone.
func (f *folder) forget() {
	for path := range f.notes.known {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			delete(f.notes.known, path)
		}
	}
}
