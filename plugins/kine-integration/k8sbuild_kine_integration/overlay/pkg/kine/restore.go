package kine

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/version"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/durable"
	own "k8sbuild.dev/distribution/pkg/version"
)

// revisionGap is how far a restore raises the revision: above all that was
// handed out since the backup, however long ago that was. etcd's documentation
// names the same number.
const revisionGap = 1_000_000_000

// restore puts the backup at source in place of the cluster of cfg, and says what it did.
func restore(ctx context.Context, cfg *config.Config, source string, passphrase []byte, force bool) (done []string, err error) {
	if err := isFile(source); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DBDir(), 0o700); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	release, err := hold(cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	there := present(cfg)
	if len(there) > 0 && !force {
		return nil, fmt.Errorf("there is a cluster in %s (%s): --force moves it aside", cfg.DataDir, strings.Join(there, ", "))
	}
	staged, err := os.MkdirTemp(cfg.DataDir, ".restore-*")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the restore: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staged)) }()
	m, err := unpack(source, staged, passphrase)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	if err := prepare(ctx, m, filepath.Join(staged, databaseMember)); err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	if len(there) > 0 {
		aside, err := moveAside(cfg, there)
		if err != nil {
			return nil, err
		}
		done = append(done, "what was there is in "+aside)
	}
	if err := putInPlace(cfg, staged); err != nil {
		return nil, err
	}
	return append(done, fmt.Sprintf("%s of %s, revision %d, is in %s; the next start goes on from revision %d",
		source, m.Time.Format(time.RFC3339), m.Revision, cfg.DataDir, m.Revision+revisionGap)), nil
}

// isFile keeps a wrong name from leaving a data directory behind.
func isFile(source string) error {
	info, err := os.Stat(source)
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", source)
	}
	if err != nil {
		return fmt.Errorf("the backup: %w", err)
	}
	return nil
}

// parts are what a restore replaces, by their names in the data directory. The
// database comes last: what has it is whole.
func parts(cfg *config.Config) []string {
	var names []string
	for _, path := range []string{cfg.TLSDir(), cfg.CredentialsDir(), cfg.AdminKubeconfig(), cfg.Path(extraFolder), filepath.Join(cfg.DBDir(), databaseFile)} {
		name, _ := filepath.Rel(cfg.DataDir, path)
		names = append(names, name)
	}
	return names
}

// present are those parts that are there, and what else belongs to the database.
func present(cfg *config.Config) []string {
	var there []string
	database := filepath.Join(filepath.Base(cfg.DBDir()), databaseFile)
	for _, name := range append(parts(cfg), database+"-wal", database+"-shm",
		filepath.Join(filepath.Base(cfg.DBDir()), recordFile), filepath.Join(filepath.Base(cfg.DBDir()), openFile)) {
		if _, err := os.Lstat(cfg.Path(name)); err == nil {
			there = append(there, name)
		}
	}
	return there
}

// moveAside moves parts of the cluster into a new folder of the data directory.
func moveAside(cfg *config.Config, names []string) (string, error) {
	aside, err := os.MkdirTemp(cfg.DataDir, time.Now().UTC().Format("before-restore-20060102T150405Z-*"))
	if err != nil {
		return "", fmt.Errorf("make a folder for what is there: %w", err)
	}
	for _, name := range names {
		if err := moveTo(cfg.Path(name), filepath.Join(aside, name)); err != nil {
			return "", fmt.Errorf("move what is there aside: %w", err)
		}
	}
	return aside, nil
}

func putInPlace(cfg *config.Config, staged string) error {
	for _, name := range parts(cfg) {
		from := filepath.Join(staged, name)
		if _, err := os.Lstat(from); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := moveTo(from, cfg.Path(name)); err != nil {
			return fmt.Errorf("put the backup in place: %w", err)
		}
	}
	return errors.Join(durable.Sync(cfg.DBDir()), durable.Sync(cfg.DataDir))
}

func moveTo(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// unpack puts the members of the backup at source into the empty folder to, each checked.
func unpack(source, to string, passphrase []byte) (*manifest, error) {
	file, err := os.Open(source)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	plain, err := unseal(file, passphrase)
	if err != nil {
		return nil, err
	}
	packed, err := gzip.NewReader(plain)
	if err != nil {
		return nil, unlessSeal(err, errors.New("it is no backup of k8s, or damaged"))
	}
	archive := tar.NewReader(packed)
	m, err := readManifest(archive)
	if err != nil {
		return nil, err
	}
	for left := len(m.Files); ; left-- {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) && left == 0 {
			return m, nil
		}
		if err != nil {
			return nil, unlessSeal(err, fmt.Errorf("%d files are missing: it is damaged", left))
		}
		if err := unpackMember(archive, header, to, m.Files); err != nil {
			return nil, err
		}
	}
}

// unlessSeal is plain unless err says that a sealed file does not open.
func unlessSeal(err, plain error) error {
	if errors.Is(err, errSeal) {
		return errSeal
	}
	return plain
}

func unseal(file io.Reader, passphrase []byte) (io.Reader, error) {
	buffered := bufio.NewReaderSize(file, chunkSize)
	begin, _ := buffered.Peek(len(sealMagic))
	switch sealed := bytes.Equal(begin, []byte(sealMagic)); {
	case sealed && passphrase == nil:
		return nil, errors.New("it is sealed: give --passphrase-file")
	case sealed:
		buffered.Discard(len(sealMagic))
		return newOpener(buffered, passphrase)
	}
	return buffered, nil
}

func readManifest(archive *tar.Reader) (*manifest, error) {
	header, err := archive.Next()
	if err != nil || header.Name != manifestFile {
		return nil, unlessSeal(err, errors.New("it does not begin with a manifest: it is no backup of k8s, or damaged"))
	}
	m := &manifest{}
	if err := json.NewDecoder(archive).Decode(m); err != nil {
		return nil, unlessSeal(err, fmt.Errorf("read its manifest: %w", err))
	}
	if m.Schema != manifestSchema || m.Files[databaseMember] == "" {
		return nil, fmt.Errorf("its manifest is %q, not %q: it is of another version", m.Schema, manifestSchema)
	}
	return m, nil
}

func unpackMember(archive *tar.Reader, header *tar.Header, to string, sums map[string]string) error {
	want := sums[header.Name]
	if want == "" || header.Typeflag != tar.TypeReg || !filepath.IsLocal(header.Name) {
		return fmt.Errorf("it holds %s, which its manifest does not name", header.Name)
	}
	path := filepath.Join(to, header.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, os.FileMode(header.Mode).Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(file, archive)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return unlessSeal(err, fmt.Errorf("it is damaged, or the disk is: unpack %s: %w", header.Name, err))
	}
	if sum, err := digestOf(path); err != nil || sum != want {
		return errors.Join(fmt.Errorf("%s is not what its manifest says: it is damaged", header.Name), err)
	}
	return nil
}

// prepare checks that this program may take the database of a backup, and raises its revision.
func prepare(ctx context.Context, m *manifest, path string) error {
	if newer(m.Version.K8sVersion, own.Get().K8sVersion) {
		return fmt.Errorf("it is of Kubernetes %s, this program of %s: an older one may not understand it", m.Version.K8sVersion, own.Get().K8sVersion)
	}
	if err := quickCheck(ctx, path); err != nil {
		return err
	}
	return raiseRevision(ctx, path, m.Revision+revisionGap)
}

// newer says whether version a is of a newer minor release than b; builds without a version are of none.
func newer(a, b string) bool {
	first, err := version.ParseGeneric(a)
	second, err2 := version.ParseGeneric(b)
	if err != nil || err2 != nil {
		return false
	}
	return first.Major() > second.Major() || first.Major() == second.Major() && first.Minor() > second.Minor()
}

// raiseRevision makes revision the current one of the closed database at path,
// and compacts all below it: whoever watched from one of these is told so, and
// lists anew, instead of taking new content for what it knows.
func raiseRevision(ctx context.Context, path string, revision int64) (err error) {
	db, err := openDatabase(path, "mode=rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, each := range []struct {
		statement string
		args      []any
	}{
		{`DELETE FROM kine WHERE name != 'compact_rev_key' AND
			(deleted != 0 OR id NOT IN (SELECT MAX(id) FROM kine GROUP BY name))`, nil},
		{`UPDATE kine SET prev_revision = ? WHERE name = 'compact_rev_key'`, []any{revision}},
		// As Kine fills a gap between revisions.
		{`INSERT INTO kine(id, name, created, deleted, create_revision, prev_revision, lease, value, old_value)
			VALUES(?, ?, 0, 1, 0, 0, 0, NULL, NULL)`, []any{revision, fmt.Sprintf("gap-%d", revision)}},
	} {
		if _, err := tx.ExecContext(ctx, each.statement, each.args...); err != nil {
			return fmt.Errorf("raise the revision: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("raise the revision: %w", err)
	}
	return nil
}
