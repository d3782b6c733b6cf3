// Package uninstall takes the distribution off a machine: the server, what its
// components registered with package cleanup, its data and its files.
//
// It imports no Kubernetes package.
package uninstall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/install"
	"k8sbuild.dev/distribution/pkg/lock"
)

// Options say what is taken away.
type Options struct {
	Config *config.Config
	Layout install.Layout
	// KeepData keeps the data directory and the settings.
	KeepData bool
	// Told is given a line for each thing that was done.
	Told func(line string)

	systemd systemd
}

// patience is how long a server that is told to end may take. It ends sooner by
// itself.
const patience = 20 * time.Second

// Run takes everything away. It goes on where something cannot be removed, and
// the data stays where something may still use it. Doing it again is no error.
func Run(ctx context.Context, o Options) error {
	if o.Layout.Root != "/" {
		return install.Remove(o.Layout, o.KeepData, o.removed)
	}
	if o.systemd == nil {
		o.systemd = machine{}
	}
	return o.run(ctx)
}

func (o Options) run(ctx context.Context) error {
	held, err := o.stop(ctx)
	if err != nil {
		return err
	}
	defer held.Release()
	if err := cleanup.Run(ctx, o.Config, o.cleaned); err != nil {
		return fmt.Errorf("%w\nThe data in %s and the program stay until this is done: run uninstall again", err, o.Config.DataDir)
	}
	return errors.Join(o.data(), install.Remove(o.Layout, o.KeepData, o.removed), o.systemd.reload(ctx))
}

func (o Options) removed(what, path string) { o.Told(what + " " + path) }

func (o Options) cleaned(name string, err error) {
	if err == nil {
		o.Told("cleaned up after " + name)
	}
}

// held is the data directory's lock, or nothing where there is no directory.
type held struct{ *lock.Lock }

func (h held) Release() {
	if h.Lock != nil {
		_ = h.Lock.Release()
	}
}

// stop ends the server and keeps others from the data directory.
func (o Options) stop(ctx context.Context) (held, error) {
	if err := o.systemd.disable(ctx, o.Layout.Unit()); err != nil {
		return held{}, err
	}
	dir := o.Config.DataDir
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return held{}, nil
	}
	if err := o.isOurs(); err != nil {
		return held{}, err
	}
	got, err := lock.Acquire(dir)
	var by *lock.HeldError
	if errors.As(err, &by) && by.PID > 0 {
		if err := cleanup.End(ctx, by.PID, patience); err != nil {
			return held{}, err
		}
		o.Told(fmt.Sprintf("stopped the server (pid %d)", by.PID))
		got, err = lock.Acquire(dir)
	}
	return held{got}, err
}

// isOurs keeps a wrong --data-dir from being emptied. Before the first start,
// there is nothing in it but what install puts there.
func (o Options) isOurs() error {
	dir := o.Config.DataDir
	if _, err := os.Stat(filepath.Join(dir, lock.FileName)); err == nil {
		return nil
	}
	entries, err := os.ReadDir(dir)
	installed := install.Layout{}.Images("")
	if err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() != installed }) {
		return nil
	}
	return fmt.Errorf("%s is no data directory of a server: it has no %s; give the one that the server had with --data-dir", dir, lock.FileName)
}

func (o Options) data() error {
	dir := o.Config.DataDir
	if o.KeepData {
		return nil
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := cleanup.RemoveTree(dir); err != nil {
		return err
	}
	o.Told("removed " + dir)
	return nil
}

// systemd is what is asked of the service manager.
type systemd interface {
	// disable stops the unit and takes it out of the start of the machine.
	disable(ctx context.Context, unit string) error
	reload(ctx context.Context) error
}

// machine is the real service manager, where one runs.
type machine struct{}

func (machine) disable(ctx context.Context, unit string) error {
	if _, err := os.Lstat(unit); err != nil {
		return nil
	}
	return cleanup.Systemctl(ctx, "disable", "--now", filepath.Base(unit))
}

func (machine) reload(ctx context.Context) error { return cleanup.Systemctl(ctx, "daemon-reload") }
