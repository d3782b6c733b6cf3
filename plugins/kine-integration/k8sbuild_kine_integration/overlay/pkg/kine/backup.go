package kine

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/durable"
	"k8sbuild.dev/distribution/pkg/version"
)

const (
	manifestSchema = "k8s-backup/1"
	manifestFile   = "manifest.json"
	databaseMember = "db/" + databaseFile
	extraFolder    = "extra"
)

// manifest is the first member of a backup. It names the others.
type manifest struct {
	Schema   string            `json:"schema"`
	Time     time.Time         `json:"time"`
	Version  version.Info      `json:"version"`
	Revision int64             `json:"revision"`
	Files    map[string]string `json:"files"` // sha256 by name
}

// backup writes the cluster of cfg to the new file at dest. The server may run:
// SQLite copies the database as of one moment.
func backup(ctx context.Context, cfg *config.Config, dest string, include []string, passphrase []byte) (_ *manifest, err error) {
	if _, err := os.Lstat(dest); err == nil {
		return nil, fmt.Errorf("%s is there already: name a new file", dest)
	}
	scratch, err := os.MkdirTemp(filepath.Dir(dest), ".k8s-backup-*")
	if err != nil {
		return nil, fmt.Errorf("make a folder beside the backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	copied := filepath.Join(scratch, databaseFile)
	if err := copyDatabase(ctx, filepath.Join(cfg.DBDir(), databaseFile), copied); err != nil {
		return nil, err
	}
	members, err := membersOf(cfg, include)
	if err != nil {
		return nil, err
	}
	members[databaseMember] = copied
	m, err := manifestOf(ctx, members)
	if err != nil {
		return nil, err
	}
	return m, placeBackup(dest, filepath.Join(scratch, "backup"), m, members, passphrase)
}

// copyDatabase copies the database at path, which a server may have open, to
// the new file at dest, and looks through the copy.
func copyDatabase(ctx context.Context, path, dest string) (err error) {
	db, err := openForReading(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", dest); err != nil {
		return fmt.Errorf("copy the database: %w", checkFailed(ctx, path, err))
	}
	return quickCheck(ctx, dest)
}

// membersOf are the paths of what goes with the database, by their names in the backup.
func membersOf(cfg *config.Config, include []string) (map[string]string, error) {
	members := map[string]string{}
	for _, dir := range []string{cfg.TLSDir(), cfg.CredentialsDir()} {
		if err := addTree(members, cfg.DataDir, dir); err != nil {
			return nil, err
		}
	}
	if info, err := os.Stat(cfg.AdminKubeconfig()); err == nil && info.Mode().IsRegular() {
		members[filepath.Base(cfg.AdminKubeconfig())] = cfg.AdminKubeconfig()
	}
	for _, file := range include {
		absolute, err := filepath.Abs(file)
		if err != nil {
			return nil, err
		}
		members[path.Join(extraFolder, filepath.ToSlash(absolute))] = absolute
	}
	return members, nil
}

// addTree adds the files below dir, if it is there, by their names below root.
func addTree(members map[string]string, root, dir string) error {
	return filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && file == dir {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(root, file)
		members[filepath.ToSlash(name)] = file
		return err
	})
}

func manifestOf(ctx context.Context, members map[string]string) (*manifest, error) {
	m := &manifest{Schema: manifestSchema, Time: time.Now().UTC().Truncate(time.Second), Version: version.Get(), Files: map[string]string{}}
	for name, file := range members {
		sum, err := digestOf(file)
		if err != nil {
			return nil, fmt.Errorf("read what goes into the backup: %w", err)
		}
		m.Files[name] = sum
	}
	counted, err := statusOf(ctx, filepath.Dir(members[databaseMember]))
	if err != nil {
		return nil, err
	}
	m.Revision = counted.Revision
	return m, nil
}

func digestOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// placeBackup writes a backup to temporary, and names it dest when it is whole.
func placeBackup(dest, temporary string, m *manifest, members map[string]string, passphrase []byte) error {
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = writeBackup(file, m, members, passphrase)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	// A link, since it does not replace what came there meanwhile.
	if err := os.Link(temporary, dest); err != nil {
		return fmt.Errorf("name the backup: %w", err)
	}
	return durable.Sync(filepath.Dir(dest))
}

func writeBackup(to io.Writer, m *manifest, members map[string]string, passphrase []byte) (err error) {
	if passphrase != nil {
		sealed, err := newSealer(to, passphrase)
		if err != nil {
			return err
		}
		return errors.Join(writeArchive(sealed, m, members), sealed.Close())
	}
	return writeArchive(to, m, members)
}

func writeArchive(to io.Writer, m *manifest, members map[string]string) error {
	packed, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(packed)
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := addBytes(archive, manifestFile, content, m.Time); err != nil {
		return err
	}
	var names []string
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := addFile(archive, name, members[name]); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), packed.Close())
}

func addBytes(archive *tar.Writer, name string, content []byte, at time.Time) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: at}); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

func addFile(archive *tar.Writer, name, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: info.ModTime()}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, f)
	return err
}
