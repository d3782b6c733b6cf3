package kine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"k8sbuild.dev/distribution/pkg/command"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/version"
)

// run is a command line of k8s; it returns what is printed.
func run(t *testing.T, made command.New, args ...string) (string, error) {
	t.Helper()
	cmd := made(config.Default())
	var out bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func mustRun(t *testing.T, made command.New, args ...string) string {
	t.Helper()
	out, err := run(t, made, args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out
}

func statusIn(t *testing.T, dir string) (s status) {
	t.Helper()
	out := mustRun(t, dbCommand, "status", "--data-dir="+dir, "--output=json")
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStatusBesideTheServerAndWithout(t *testing.T) {
	dir := t.TempDir()
	s := running(t, dir)
	c := client(t, s)
	before := statusIn(t, dir)
	revision := mustCreate(t, c, "/registry/a", "1")
	if ok, err := update(t.Context(), c, "/registry/a", "2", revision); err != nil || !ok {
		t.Fatal(ok, err)
	}
	beside := statusIn(t, dir)
	if !beside.Running || beside.Keys != before.Keys+1 || beside.Rows != before.Rows+2 || beside.Revision != revision+1 {
		t.Errorf("before %+v, now %+v", before, beside)
	}
	// Another process looked; the server's locks are still there.
	mustCreate(t, c, "/registry/b", "1")
	stop(t, s)
	if after := statusIn(t, dir); after.Running || after.Keys != beside.Keys+1 || after.DatabaseBytes == 0 {
		t.Errorf("after the stop %+v", after)
	}
	if text := mustRun(t, dbCommand, "status", "--data-dir="+dir); !strings.Contains(text, "does not run") {
		t.Errorf("text %q", text)
	}
	if _, err := run(t, dbCommand, "status", "--data-dir="+dir, "-o", "xml"); err == nil {
		t.Error("prints XML")
	}
	s = running(t, dir)
	mustGet(t, client(t, s), "/registry/b")
	stop(t, s)
}

func TestCheckFindsDamage(t *testing.T) {
	dir := stopped(t)
	if out := mustRun(t, dbCommand, "check", "--data-dir="+dir); !strings.Contains(out, "in order") {
		t.Errorf("output %q", out)
	}
	file, err := os.OpenFile(database(dir), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(bytes.Repeat([]byte{0xff}, 3*pageSize), pageSize); err != nil {
		t.Fatal(err)
	}
	_, err = run(t, dbCommand, "check", "--data-dir="+dir)
	if err == nil || !strings.Contains(err.Error(), "is damaged") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	if _, err := run(t, dbCommand, "check", "--data-dir="+t.TempDir()); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("no database: %v", err)
	}
}

func TestVacuumGivesPagesBack(t *testing.T) {
	dir := t.TempDir()
	s := running(t, dir)
	c := client(t, s)
	value := strings.Repeat("v", 200_000)
	for n := range 10 {
		mustCreate(t, c, fmt.Sprint("/registry/", n), value)
	}
	if _, err := run(t, dbCommand, "vacuum", "--data-dir="+dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a running server: %v", err)
	}
	stop(t, s)
	if err := execute(t.Context(), database(dir), "DELETE FROM kine WHERE name LIKE '/registry/_' AND name != '/registry/3'"); err != nil {
		t.Fatal(err)
	}
	before := statusIn(t, dir)
	mustRun(t, dbCommand, "vacuum", "--data-dir="+dir)
	after := statusIn(t, dir)
	if before.FreeBytes < 1_500_000 || after.FreeBytes != 0 || after.DatabaseBytes > 1_000_000 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if got := mustGet(t, client(t, started(t, dir)), "/registry/3"); got != value {
		t.Errorf("%d bytes are left of a value", len(got))
	}
}

// cluster is a data directory with a certificate and a running storage.
func cluster(t *testing.T) (string, *Storage) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"tls/service-account.key": "secret key", "cred/scheduler": "credentials", "admin.kubeconfig": "admin"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, started(t, dir)
}

func passphraseFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "--passphrase-file=" + path
}

func TestBackupOfARunningServerIsRestored(t *testing.T) {
	dir, s := cluster(t)
	c := client(t, s)
	old := mustCreate(t, c, "/registry/kept", "1")
	mustCreate(t, c, "/registry/changed", "before")
	extra := filepath.Join(t.TempDir(), "encryption.yaml")
	if err := os.WriteFile(extra, []byte("encryption"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	secret := passphraseFile(t, "a long passphrase")
	mustRun(t, backupCommand, file, "--data-dir="+dir, "--include="+extra, secret)
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if content, err := os.ReadFile(file); err != nil || bytes.Contains(content, []byte("secret key")) {
		t.Errorf("a sealed backup shows a key, error %v", err)
	}
	if _, err := run(t, backupCommand, file, "--data-dir="+dir, secret); err == nil {
		t.Error("a backup replaces a file")
	}
	last := mustCreate(t, c, "/registry/later", "1")

	if _, err := run(t, restoreCommand, file, "--data-dir="+dir, "--force", secret); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a running server: %v", err)
	}
	stop(t, s)
	if _, err := run(t, restoreCommand, file, "--data-dir="+dir, secret); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("a cluster is there: %v", err)
	}
	mustRun(t, restoreCommand, file, "--data-dir="+dir, "--force", secret)
	fresh := t.TempDir()
	mustRun(t, restoreCommand, file, "--data-dir="+fresh, secret)
	for _, restored := range []string{dir, fresh} {
		holdsTheBackup(t, restored, extra, old, last)
	}
	if aside, err := filepath.Glob(filepath.Join(dir, "before-restore-*", "db", databaseFile)); err != nil || len(aside) != 1 {
		t.Errorf("what was there is in %v, error %v", aside, err)
	}
	for _, restored := range []string{dir, fresh} {
		if left, _ := filepath.Glob(filepath.Join(restored, ".restore-*")); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	}
}

// holdsTheBackup looks at a restored cluster: content, files, and what a client
// that was there before meets.
func holdsTheBackup(t *testing.T, dir, extra string, old, last int64) {
	t.Helper()
	for path, want := range map[string]string{"tls/service-account.key": "secret key", "cred/scheduler": "credentials", "extra" + extra: "encryption"} {
		if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(got) != want {
			t.Errorf("%s: %q, error %v", path, got, err)
		}
	}
	c := client(t, started(t, dir))
	if got := mustGet(t, c, "/registry/changed"); got != "before" {
		t.Errorf("value %q", got)
	}
	if later, err := c.Get(t.Context(), "/registry/later"); err != nil || later.Count != 0 {
		t.Errorf("what came after the backup: %v %v", later, err)
	}
	for _, from := range []int64{old, last, last + 100} {
		watch := <-c.Watch(t.Context(), "/registry/", clientv3.WithPrefix(), clientv3.WithRev(from))
		if watch.Err() != rpctypes.ErrCompacted {
			t.Errorf("a watch from %d: %v", from, watch.Err())
		}
	}
	ctx := t.Context()
	events := c.Watch(ctx, "/registry/new", clientv3.WithCreatedNotify())
	<-events
	if revision := mustCreate(t, c, "/registry/new", "1"); revision < last+revisionGap/2 {
		t.Errorf("the first revision is %d, the last was %d", revision, last)
	}
	if got := values(t, events, "/registry/new", 1); got != "1" {
		t.Errorf("event %q", got)
	}
}

func TestDamagedBackupsAreRefused(t *testing.T) {
	dir, _ := cluster(t)
	folder := t.TempDir()
	plain, sealed := filepath.Join(folder, "plain"), filepath.Join(folder, "sealed")
	secret := passphraseFile(t, "right")
	mustRun(t, backupCommand, plain, "--data-dir="+dir)
	mustRun(t, backupCommand, sealed, "--data-dir="+dir, secret)
	for name, c := range map[string]struct {
		of     string
		change func([]byte) []byte
		flags  []string
		want   string
	}{
		"cut":               {plain, func(b []byte) []byte { return b[:len(b)/2] }, nil, "damaged"},
		"another file":      {plain, func([]byte) []byte { return []byte("something else") }, nil, "no backup"},
		"empty":             {plain, func([]byte) []byte { return nil }, nil, "no backup"},
		"no passphrase":     {sealed, nil, nil, "--passphrase-file"},
		"wrong passphrase":  {sealed, nil, []string{passphraseFile(t, "wrong")}, "passphrase is wrong"},
		"sealed, cut":       {sealed, func(b []byte) []byte { return b[:len(b)-20] }, []string{secret}, "damaged"},
		"sealed, one bit":   {sealed, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, []string{secret}, "damaged"},
		"sealed, only salt": {sealed, func(b []byte) []byte { return b[:len(sealMagic)+3] }, []string{secret}, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(c.of)
			if err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				content = c.change(content)
			}
			file, into := filepath.Join(t.TempDir(), "backup"), t.TempDir()
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = run(t, restoreCommand, append([]string{file, "--data-dir=" + into}, c.flags...)...)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v", err)
			}
			if exists(t, database(into)) {
				t.Error("a database is there")
			}
		})
	}
}

func TestSealKeepsLengths(t *testing.T) {
	for _, size := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 3 * chunkSize} {
		var sealed bytes.Buffer
		w, err := newSealer(&sealed, []byte("p"))
		if err != nil {
			t.Fatal(err)
		}
		plain := bytes.Repeat([]byte("x"), size)
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := newOpener(bytes.NewReader(sealed.Bytes()[len(sealMagic):]), []byte("p"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes come back as %d, error %v", size, len(got), err)
		}
	}
}

func TestVersionChangeMakesABackup(t *testing.T) {
	was := version.GitVersion
	t.Cleanup(func() { version.GitVersion = was })
	dir := t.TempDir()
	backups := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, backupsFolder, "2*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	mine := filepath.Join(dir, backupsFolder, "0-before-holidays.tar.gz")
	if err := errors.Join(os.MkdirAll(filepath.Dir(mine), 0o700), os.WriteFile(mine, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for n, to := range []string{"v1", "v1", "v2", "v3", "v4", "v5"} {
		version.GitVersion = to
		s := running(t, dir)
		if n == 0 {
			c := client(t, s)
			mustCreate(t, c, "/registry/a", "1")
		}
		stop(t, s)
		if want := min(max(0, n-1), backupsKept); len(backups()) != want {
			t.Errorf("start %d with %s: backups %v", n, to, backups())
		}
	}
	if !exists(t, mine) {
		t.Error("a backup of the user's own is gone")
	}
	last := backups()[backupsKept-1]
	if !strings.Contains(last, "-before-v5") {
		t.Errorf("the last backup is %s", last)
	}
	into := t.TempDir()
	mustRun(t, restoreCommand, last, "--data-dir="+into)
	mustGet(t, client(t, started(t, into)), "/registry/a")
}

func TestBackupOfANewerKubernetesIsRefused(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		newer bool
	}{{"v1.32.0", "v1.31.4", true}, {"v1.31.9", "v1.31.4", false}, {"v2.0.0", "v1.31.4", true}, {"v1.30.1", "v1.31.4", false}, {"", "v1.31.4", false}} {
		if newer(c.a, c.b) != c.newer {
			t.Errorf("%s is newer than %s: %v", c.a, c.b, !c.newer)
		}
	}
}

func TestPassphraseMustBeThere(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, made := range []func(*config.Config) *cobra.Command{backupCommand, restoreCommand} {
		for _, path := range []string{empty, empty + "-gone"} {
			if _, err := run(t, made, filepath.Join(t.TempDir(), "x"), "--passphrase-file="+path); err == nil || !strings.Contains(err.Error(), "--passphrase-file") {
				t.Errorf("error %v", err)
			}
		}
	}
}

func TestMistakesAreNamedAndLeaveNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	folder := t.TempDir()
	for _, tc := range []struct {
		made command.New
		args []string
		want string
	}{
		{dbCommand, []string{"vaccum"}, "unknown command"},
		{dbCommand, []string{"vacuum", "--data-dir=" + dir}, "there is no database"},
		{restoreCommand, []string{filepath.Join(folder, "absent"), "--data-dir=" + dir}, "no such file"},
		{restoreCommand, []string{folder, "--data-dir=" + dir}, "is a folder"},
	} {
		if _, err := run(t, tc.made, tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: got %v, want %q", tc.args, err, tc.want)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("%s was made", dir)
	}
	if out := mustRun(t, dbCommand); !strings.Contains(out, "vacuum") {
		t.Errorf("without a command: %q", out)
	}
}
