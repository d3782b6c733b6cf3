package kine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/durable"
	"k8sbuild.dev/distribution/pkg/version"
)

const (
	// versionFile names the version that wrote to the database last.
	versionFile = "version"
	// backupsKept is how many backups of earlier version changes are kept.
	backupsKept   = 3
	backupsFolder = "backups"
	// The name of such a backup: its time comes first, so that names sort by it.
	backupTime   = "20060102T150405.000Z"
	backupReason = "-before-"
)

// backupBeforeChange makes a backup if another version than this one wrote to
// the database last: what a new version stores, the old one may not understand.
func backupBeforeChange(ctx context.Context, cfg *config.Config) error {
	path := filepath.Join(cfg.DBDir(), versionFile)
	now := version.Get().GitVersion
	last, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the version of the last start: %w", err)
	}
	if string(last) == now {
		return nil
	}
	if isNew, err := checkHeader(filepath.Join(cfg.DBDir(), databaseFile)); err != nil {
		return err
	} else if !isNew {
		if err := keepBackup(ctx, cfg, string(last), now); err != nil {
			return fmt.Errorf("back up before the change from version %q to %q: %w", last, now, err)
		}
	}
	if err := durable.Write(path, []byte(now), 0o600); err != nil {
		return fmt.Errorf("record the version: %w", err)
	}
	return nil
}

// keepBackup makes a backup in the data directory and removes old ones.
func keepBackup(ctx context.Context, cfg *config.Config, from, to string) error {
	dir := cfg.Path(backupsFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name := time.Now().UTC().Format(backupTime) + backupReason + strings.ReplaceAll(to, "/", "_") + ".tar.gz"
	made := filepath.Join(dir, name)
	if _, err := backup(ctx, cfg, made, nil, nil); err != nil {
		return err
	}
	logrus.Infof("The version changes from %q to %q: %s is a backup of before", from, to, made)
	return removeOld(dir, made)
}

// removeOld keeps the last of our own backups in dir, and every other file. The one
// that was made now is the last of them, even if the clock was set back since the others.
func removeOld(dir, made string) error {
	entries, err := os.ReadDir(dir) // by name
	if err != nil {
		return err
	}
	var found []string
	for _, entry := range entries {
		if path := filepath.Join(dir, entry.Name()); isOurs(entry.Name()) && path != made {
			found = append(found, path)
		}
	}
	for _, path := range found[:max(0, len(found)+1-backupsKept)] {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// isOurs says whether keepBackup gave the name.
func isOurs(name string) bool {
	at, _, found := strings.Cut(name, backupReason)
	_, err := time.Parse(backupTime, at)
	return found && err == nil
}
