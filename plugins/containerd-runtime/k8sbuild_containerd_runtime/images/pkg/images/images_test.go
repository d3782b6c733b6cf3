package images

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/service"
)

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstandard(t *testing.T, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

// write writes a file that nobody has touched for a while.
func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

// reports notes what is told to the cluster's users.
type reports struct {
	mu    sync.Mutex
	lines []string
}

func (r *reports) add(reason, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, reason+": "+message)
}

func (r *reports) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

func folderOf(dir string, c runtime) (*folder, *reports) {
	told := &reports{}
	return &folder{
		dir: filepath.Join(dir, "images"), beside: dir, notes: notes{file: filepath.Join(dir, "notes.json")},
		runtime: c, report: told.add,
	}, told
}

// kept runs a folder until the end of the test, after its first pass.
func kept(t *testing.T, f *folder) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- f.keep(ctx, func() { close(done) }) }()
	select {
	case <-done:
	case err := <-ended:
		t.Fatalf("ended with %v", err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func until(t *testing.T, what string, check func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !check(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestFilesOfEachKindAreImported(t *testing.T) {
	fake, c := started(t)
	dir := t.TempDir()
	f, told := folderOf(dir, c)
	if err := os.Mkdir(f.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "k8s-images-v1-linux-amd64.tar.zst"), zstandard(t, tarOf(t, "pause:1", "dns:2")))
	write(t, filepath.Join(f.dir, "a.tar"), tarOf(t, "a:1"))
	write(t, filepath.Join(f.dir, "b.tar.gz"), zipped(t, tarOf(t, "b:1")))
	// Its name says something else.
	write(t, filepath.Join(f.dir, "c.tar"), zstandard(t, tarOf(t, "c:1")))
	for _, ignored := range []string{"d.txt", ".e.tar", "k8s-images.zip"} {
		write(t, filepath.Join(f.dir, ignored), tarOf(t, "ignored:1"))
	}
	kept(t, f)
	for _, name := range []string{"pause:1", "dns:2", "a:1", "b:1", "c:1"} {
		if fake.images[name]["io.cri-containerd.image"] != "managed" || fake.images[name]["io.cri-containerd.pinned"] != "pinned" {
			t.Errorf("%s has the labels %v", name, fake.images[name])
		}
	}
	if len(fake.images) != 5 || len(told.all()) != 0 {
		t.Errorf("%v, %v", fake.images, told.all())
	}
}

func TestWhatWasImportedIsSkipped(t *testing.T) {
	fake, c := started(t)
	dir := t.TempDir()
	f, _ := folderOf(dir, c)
	if err := os.Mkdir(f.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path, data := filepath.Join(f.dir, "a.tar"), tarOf(t, "a:1", "b:1")
	write(t, path, data)
	write(t, filepath.Join(f.dir, "gone.tar"), tarOf(t, "gone:1"))
	kept(t, f)()
	if err := os.Remove(filepath.Join(f.dir, "gone.tar")); err != nil {
		t.Fatal(err)
	}
	f, _ = folderOf(dir, c)
	kept(t, f)()
	if fake.count() != 2 {
		t.Errorf("%d imports, the second start had nothing to do", fake.count())
	}
	if known := f.notes.known[path]; known.Digest != fmt.Sprintf("%x", sha256.Sum256(data)) || !slices.Equal(known.Images, []string{"a:1", "b:1"}) {
		t.Errorf("noted %+v", known)
	}
	// Somebody removed an image, so its file is wanted again.
	delete(fake.images, "b:1")
	f, _ = folderOf(dir, c)
	kept(t, f)()
	if fake.count() != 3 || fake.images["b:1"] == nil {
		t.Errorf("%d imports, images %v", fake.count(), fake.images)
	}
	if _, kept := f.notes.known[filepath.Join(f.dir, "gone.tar")]; kept {
		t.Error("a note of a file that is gone")
	}
}

func TestFilesThatCome(t *testing.T) {
	fake, c := started(t)
	f, told := folderOf(t.TempDir(), c)
	kept(t, f)
	write(t, filepath.Join(f.dir, "a.tar"), tarOf(t, "a:1"))
	until(t, "import of a file that comes", func() bool { return c.Has(t.Context(), "a:1") })
	// Not whole yet, and then it is.
	path, data := filepath.Join(f.dir, "b.tar"), tarOf(t, "b:1")
	write(t, path, data[:len(data)/2])
	until(t, "report of half a file", func() bool { return len(told.all()) == 1 })
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "import of the whole file", func() bool { return c.Has(t.Context(), "b:1") })
	if fake.count() != 3 {
		t.Errorf("%d imports", fake.count())
	}
}

func TestDamagedFiles(t *testing.T) {
	whole := tarOf(t, "a:1")
	flipped := bytes.Clone(zipped(t, whole))
	flipped[len(flipped)-6] ^= 1 // of the sum
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"empty":                   {nil, "it names no image for this machine"},
		"no tar":                  {bytes.Repeat([]byte("x"), 5000), "read tar: archive/tar: invalid tar header"},
		"cut tar":                 {whole[:len(whole)/2], "unexpected EOF"},
		"cut gzip":                {zipped(t, whole)[:300], "unexpected EOF"},
		"head of gzip":            {[]byte{0x1f, 0x8b}, "unexpected EOF"},
		"wrong sum":               {flipped, "gzip: invalid checksum"},
		"zstd of nonsense":        {[]byte{0x28, 0xb5, 0x2f, 0xfd, 9, 9, 9, 9, 9}, ""},
		"a tar without any image": {tarOf(t), "it names no image for this machine"},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := started(t)
			f, told := folderOf(t.TempDir(), c)
			if err := os.Mkdir(f.dir, 0o755); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(f.dir, "bad.tar")
			write(t, path, tc.data)
			write(t, filepath.Join(f.dir, "good.tar"), tarOf(t, "good:1"))
			kept(t, f)
			lines := told.all()
			if len(lines) != 1 || !strings.HasPrefix(lines[0], "ImagesNotImported: "+path+": ") || !strings.Contains(lines[0], tc.want) {
				t.Errorf("told %q, want %q", lines, tc.want)
			}
			if !c.Has(t.Context(), "good:1") {
				t.Error("the other file was not imported")
			}
			if _, noted := f.notes.known[path]; noted {
				t.Error("noted as imported")
			}
		})
	}
}

func TestWhatUnpacksToMoreThanThereIsRoomFor(t *testing.T) {
	_, c := started(t)
	path := filepath.Join(t.TempDir(), "a.tar.zst")
	write(t, path, zstandard(t, tarOf(t, "a:1")))
	a, err := open(path, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := c.Import(t.Context(), a); !errors.Is(err, errTooLarge) {
		t.Errorf("got %v", err)
	}
	if left, err := room(t.TempDir()); left <= 0 || err != nil {
		t.Errorf("got %d, %v", left, err)
	}
	if _, err := room("/nonexistent"); err == nil {
		t.Error("room in a folder that is not there")
	}
}

func TestRuntimeThatIsGone(t *testing.T) {
	fake, c := started(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Import(ctx, bytes.NewReader(tarOf(t, "a:1"))); err == nil || fake.count() != 0 {
		t.Errorf("got %v", err)
	}
	// An interrupted import is no fault of the file.
	f, told := folderOf(t.TempDir(), c)
	f.refused = map[string]note{}
	write(t, filepath.Join(filepath.Dir(f.notes.file), "a.tar"), tarOf(t, "a:1"))
	info, err := os.Stat(filepath.Join(filepath.Dir(f.notes.file), "a.tar"))
	if err != nil {
		t.Fatal(err)
	}
	f.take(ctx, filepath.Join(filepath.Dir(f.notes.file), "a.tar"), info)
	if len(told.all()) != 0 {
		t.Errorf("told %q", told.all())
	}
}

func TestImageThatTheKubeletDoesNotSee(t *testing.T) {
	_, c := started(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.seen(ctx, []string{"never:1"}); err == nil || !strings.Contains(err.Error(), "never:1") {
		t.Errorf("got %v", err)
	}
}

func TestDamagedNotes(t *testing.T) {
	_, c := started(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "notes.json"), []byte("{"))
	write(t, filepath.Join(dir, "k8s-images-v1-linux-amd64.tar.zst"), zstandard(t, tarOf(t, "a:1")))
	f, _ := folderOf(dir, c)
	kept(t, f)
	if !c.Has(t.Context(), "a:1") {
		t.Error("damaged notes keep images out")
	}
}

func TestFolderThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	f := &folder{dir: filepath.Join(file, "images")}
	if err := f.keep(t.Context(), nil); err == nil {
		t.Error("no error")
	}
	if len(f.files()) != 0 {
		t.Error("files in a folder that is not there")
	}
}

func TestService(t *testing.T) {
	cfg := componenttest.Node(t)
	if wanted(cfg) {
		t.Error("imports into the user's own runtime")
	}
	cfg.ContainerRuntimeEndpoint = ""
	if !wanted(cfg) {
		t.Error("does not import into ours")
	}
	s, err := New(cfg)
	if err != nil || s.Name() != Name {
		t.Fatal(s, err)
	}
	cfg.RuntimeEndpoint = func() string { return "unix:///nonexistent" }
	if err := s.(*service.Runner).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "kubeconfig") {
		t.Errorf("got %v", err)
	}
	Register()
}

func TestReady(t *testing.T) {
	ready := make(chan struct{})
	ask := readyOrPatient(ready, time.Hour)
	if err := ask(t.Context()); !errors.Is(err, errNotYet) {
		t.Errorf("got %v", err)
	}
	close(ready)
	if err := ask(t.Context()); err != nil {
		t.Error(err)
	}
	if err := readyOrPatient(make(chan struct{}), -time.Second)(t.Context()); err != nil {
		t.Errorf("waits for ever: %v", err)
	}
}

func TestReadingGoesOnToTheEnd(t *testing.T) {
	failed := errors.New("disk")
	if err := whole(fileError{failed}, nil); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	rest := strings.NewReader("rest")
	if err := whole(io.ErrClosedPipe, rest); err != nil || rest.Len() != 0 {
		t.Errorf("got %v, %d bytes left", err, rest.Len())
	}
}
