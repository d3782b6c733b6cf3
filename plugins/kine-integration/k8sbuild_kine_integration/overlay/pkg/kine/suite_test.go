package kine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8sbuild.dev/distribution/pkg/config"
)

const (
	// servedDir makes the test binary a server on that data directory until its
	// standard input ends, for tests of others; servedNotify is how often it
	// tells watchers of its progress.
	servedDir    = "KINE_TEST_SERVED_DIR"
	servedNotify = "KINE_TEST_NOTIFY"
	// serverOfTests names the test binary to tests of others.
	serverOfTests = "KINE_TEST_SERVER"

	suiteFolder = "testdata/suite"
	apiserver   = "k8s.io/apiserver"
)

// suites are packages with tests of a storage that others wrote.
var suites = []string{
	apiserver + "/pkg/storage/etcd3",
	apiserver + "/pkg/storage/cacher",
	"github.com/k3s-io/kine/pkg/drivers/sqlite",
	"github.com/k3s-io/kine/pkg/drivers/memory",
}

// beServed prints its address.
func beServed(dir string) {
	cfg := config.Default()
	cfg.DataDir = dir
	made, err := newService(cfg)
	if err != nil {
		panic(err)
	}
	s := made.(*Storage)
	s.chosen.minRetain = 0 // the tests compact up to the last revision
	if every, err := time.ParseDuration(os.Getenv(servedNotify)); err == nil && every > 0 {
		s.chosen.notifyInterval = every
	}
	if err := s.Start(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(s.Endpoints()[0])
	io.Copy(io.Discard, os.Stdin)
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		panic(err)
	}
}

// ran is what became of tests, by package and name.
type ran struct {
	results map[string]string
	output  []string // of what failed
}

// TestStorageSuites runs the tests that Kubernetes has for etcd, and Kine for
// itself, with this storage. Those that fail are listed with the reason.
func TestStorageSuites(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it takes minutes and --short was given: upstream's storage tests are NOT run against this storage")
	}
	known := expected(t)
	got := runSuites(t)
	failed := got.failed()
	for _, name := range failed {
		if _, ok := known[name]; !ok {
			t.Errorf("%s fails and is not listed", name)
		}
	}
	for name := range known {
		if !slices.Contains(failed, name) {
			t.Errorf("%s is listed, and it is %q", name, got.results[name])
		}
	}
	if t.Failed() {
		t.Log(strings.Join(got.output, ""))
	}
	t.Attr("suite-tests-passed", strconv.Itoa(got.count("pass")))
	t.Attr("suite-tests-skipped", strconv.Itoa(got.count("skip")))
	t.Attr("suite-tests-failed-as-listed", strconv.Itoa(len(known)))
}

// expected are the tests that are known to fail, by package and name, with the reason.
func expected(t *testing.T) map[string]string {
	t.Helper()
	file, err := os.Open(filepath.Join(suiteFolder, "known.csv"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("SKIPPED: nobody looked at what fails with this release of Kine: upstream's storage tests are NOT run")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for _, row := range rows[1:] {
		known[row[0]+" "+row[1]] = row[2]
	}
	return known
}

func runSuites(t *testing.T) *ran {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{
		"test", "-json", "-count=1", "-timeout=15m", "-p=1", "-mod=readonly", "-trimpath", "-overlay=" + overlayOfSuites(t),
	}, suites...)...)
	cmd.Env = append(os.Environ(), serverOfTests+"="+os.Args[0])
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
		t.Fatalf("go test: %v", err)
	}
	got := read(t, out)
	for _, name := range suites {
		if got.results[name+" "] == "" {
			t.Fatalf("%s did not run: %v\n%s%s", name, err, failure.String(), strings.Join(got.output, ""))
		}
	}
	return got
}

// overlayOfSuites gives the compiler our file in place of upstream's that starts an etcd.
func overlayOfSuites(t *testing.T) string {
	t.Helper()
	ours, err := filepath.Abs(filepath.Join(suiteFolder, "test_server.go"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-mod=readonly", "-m", "-f={{.Dir}}", apiserver).Output()
	if err != nil {
		t.Fatalf("find %s: %v", apiserver, err)
	}
	theirs := filepath.Join(strings.TrimSpace(string(dir)), "pkg/storage/etcd3/testserver/test_server.go")
	content, err := json.Marshal(map[string]any{"Replace": map[string]string{theirs: ours}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// read takes what go test -json prints.
func read(t *testing.T, out []byte) *ran {
	t.Helper()
	got := &ran{results: map[string]string{}}
	said := map[string][]string{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var event struct{ Action, Package, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue
		}
		name := event.Package + " " + event.Test
		switch event.Action {
		case "output":
			said[name] = append(said[name], event.Output)
		case "build-output":
			got.output = append(got.output, event.Output)
		case "pass", "skip", "fail":
			got.results[name] = event.Action
			if event.Action == "fail" {
				got.output = append(got.output, said[name]...)
			}
			delete(said, name)
		}
	}
	return got
}

// count is how many tests have a result.
func (r *ran) count(result string) (n int) {
	for name, each := range r.results {
		if each == result && !strings.HasSuffix(name, " ") { // not a package's
			n++
		}
	}
	return n
}

// failed are the tests that failed and have no part that did.
func (r *ran) failed() (names []string) {
	for name, result := range r.results {
		part := func(other string) bool { return r.results[other] == "fail" && strings.HasPrefix(other, name+"/") }
		isPackage := strings.HasSuffix(name, " ")
		if result == "fail" && !isPackage && !slices.ContainsFunc(slices.Collect(maps.Keys(r.results)), part) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
