package kine

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// onlyDatabase is the database in dataDir with its log.
func onlyDatabase(t *testing.T, dataDir string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range []string{databaseFile, databaseFile + "-wal"} {
		content, err := os.ReadFile(filepath.Join(dataDir, "db", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: content, Mode: 0o600}
	}
	return files
}

// stopped is a data directory with the database of a stopped server, large
// enough that there are pages to damage.
func stopped(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := running(t, dir)
	c := client(t, s)
	for _, name := range strings.Fields("a b c d e f g h i j") {
		mustCreate(t, c, "/registry/"+name, strings.Repeat(name, 20_000))
	}
	c.Close()
	stop(t, s)
	return dir
}

func rewrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func truncate(n int) func([]byte) []byte {
	return func(content []byte) []byte { return content[:n] }
}

// breakTree overwrites the page that holds the root of the table.
func breakTree(content []byte) []byte {
	return append(append(bytes.Clone(content[:4096]), bytes.Repeat([]byte{0xa5}, 4096)...), content[8192:]...)
}

func TestDamagedFileIsRefusedAtOnce(t *testing.T) {
	tests := map[string]struct {
		change func([]byte) []byte
		detail string
	}{
		"no database":      {func([]byte) []byte { return bytes.Repeat([]byte("not a database. "), 512) }, "does not begin like"},
		"short header":     {truncate(60), "within its header"},
		"emptied":          {truncate(0), "bytes at the last stop"},
		"bad page size":    {func(b []byte) []byte { b[16], b[17] = 3, 3; return b }, "page size of 771"},
		"lost its end":     {func(b []byte) []byte { return b[:len(b)/2] }, ""},
		"overwritten page": {breakTree, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := stopped(t)
			rewrite(t, database(dir), test.change)
			// The refusal must not wear off.
			for range 2 {
				begin := time.Now()
				err := newStorage(t, dir).Start(t.Context())
				var damaged *DamagedError
				if !errors.As(err, &damaged) {
					t.Fatalf("error %v", err)
				}
				if !strings.Contains(err.Error(), test.detail) || !strings.Contains(err.Error(), database(dir)) ||
					strings.Contains(err.Error(), "\n") {
					t.Errorf("message %q", err)
				}
				if took := time.Since(begin); took > 5*time.Second {
					t.Errorf("refused after %v", took)
				}
			}
		})
	}
}

func TestTornHeaderIsMendedFromTheLog(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	c := client(t, started(t, dir))
	mustCreate(t, c, "/registry/a", strings.Repeat("a", 20_000))
	if err := os.CopyFS(filepath.Join(copied, "db"), onlyDatabase(t, dir)); err != nil {
		t.Fatal(err)
	}
	tear := func(content []byte) []byte { return append(make([]byte, headerSize), content[headerSize:]...) }
	rewrite(t, database(copied), tear)
	mustGet(t, client(t, started(t, copied)), "/registry/a")

	lost := t.TempDir()
	if err := os.CopyFS(filepath.Join(lost, "db"), onlyDatabase(t, dir)); err != nil {
		t.Fatal(err)
	}
	rewrite(t, database(lost), tear)
	rewrite(t, database(lost)+"-wal", func(content []byte) []byte { return make([]byte, len(content)) })
	var damaged *DamagedError
	if err := newStorage(t, lost).Start(t.Context()); !errors.As(err, &damaged) {
		t.Errorf("error %v", err)
	}
}

func TestLogWithoutDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(database(dir)+"-wal", []byte("log"), 0o600); err != nil {
		t.Fatal(err)
	}
	var damaged *DamagedError
	if err := newStorage(t, dir).Start(t.Context()); !errors.As(err, &damaged) {
		t.Errorf("error %v", err)
	}
}

func TestEmptyFileIsANewDatabase(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(database(dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, client(t, started(t, dir)), "/registry/a", "1")
}

func TestCleanStopSparesTheCheck(t *testing.T) {
	tests := map[string]struct {
		after   func(t *testing.T, dir string)
		checked bool
	}{
		"untouched": {func(*testing.T, string) {}, false},
		"other time": {func(t *testing.T, dir string) {
			if err := os.Chtimes(database(dir), time.Time{}, time.Now()); err != nil {
				t.Fatal(err)
			}
		}, true},
		"a log beside it": {func(t *testing.T, dir string) {
			if err := os.WriteFile(database(dir)+"-wal", []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, true},
		"no record": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "db", recordFile)); err != nil {
				t.Fatal(err)
			}
		}, true},
		"unreadable record": {func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, "db", recordFile), truncate(5))
		}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := stopped(t)
			// Damage that only the check sees, behind an unchanged size and time.
			info, err := os.Stat(database(dir))
			if err != nil {
				t.Fatal(err)
			}
			rewrite(t, database(dir), breakTree)
			if err := os.Chtimes(database(dir), time.Time{}, info.ModTime()); err != nil {
				t.Fatal(err)
			}
			test.after(t, dir)
			if err := checkDatabase(t.Context(), filepath.Join(dir, "db")); (err != nil) != test.checked {
				t.Errorf("error %v", err)
			}
			if exists(t, filepath.Join(dir, "db", recordFile)) {
				t.Error("the record outlives the opening")
			}
		})
	}
}

func TestCheckThatWasBrokenOffBlamesNoFile(t *testing.T) {
	dir := stopped(t)
	if err := os.Remove(filepath.Join(dir, "db", recordFile)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := newStorage(t, dir).Start(ctx)
	var damaged *DamagedError
	if !errors.Is(err, context.Canceled) || errors.As(err, &damaged) {
		t.Errorf("error %v", err)
	}
	started(t, dir)
}

func TestDatabaseThatIsAFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(database(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	err := newStorage(t, dir).Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), database(dir)) {
		t.Errorf("error %v", err)
	}
}
