package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tree is a group tree of files; what the kernel would do on a write is not in it.
func tree(t *testing.T, self, procs, on string) Cgroups {
	t.Helper()
	dir := files(t, map[string]string{
		"self": self, "cgroup.controllers": "cpu memory pids\n", "cgroup.procs": procs,
		"cgroup.subtree_control": on, ownGroup + "/cgroup.procs": "",
	})
	return Cgroups{dir, filepath.Join(dir, "self")}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRootGroupIsLeft(t *testing.T) {
	c := tree(t, "0::/\n", "1\n", "")
	did, err := c.Prepare()
	if err != nil || len(did) != 2 || !strings.Contains(did[0], "moved 1 processes") || !strings.Contains(did[1], "cpu, memory, pids") {
		t.Errorf("got %q, %v", did, err)
	}
	if got := read(t, c.Root, ownGroup, "cgroup.procs"); got != "1" {
		t.Errorf("moved %q", got)
	}
	if got := read(t, c.Root, "cgroup.subtree_control"); !strings.HasPrefix(got, "+pids") {
		t.Errorf("the last write is %q", got)
	}
}

func TestOtherGroupsAreLeftAlone(t *testing.T) {
	c := tree(t, "0::/system.slice/k8s.service\n", "1\n", "cpu memory pids")
	if did, err := c.Prepare(); err != nil || len(did) > 0 {
		t.Errorf("got %q, %v", did, err)
	}
	if got := read(t, c.Root, ownGroup, "cgroup.procs"); got != "" {
		t.Errorf("moved %q", got)
	}
	old := Cgroups{t.TempDir(), "/nonexistent"}
	if did, err := old.Prepare(); err != nil || len(did) > 0 {
		t.Errorf("version 1: got %q, %v", did, err)
	}
}

func TestGroupsThatCannotBeChangedAreErrors(t *testing.T) {
	for want, spoil := range map[string]func(Cgroups) string{
		"which cgroup":       func(c Cgroups) string { return c.Self },
		"leave the root":     func(c Cgroups) string { return filepath.Join(c.Root, "cgroup.procs") },
		"enable cgroup":      func(c Cgroups) string { return filepath.Join(c.Root, "cgroup.subtree_control") },
		"leave the root cgr": func(c Cgroups) string { return filepath.Join(c.Root, ownGroup, "cgroup.procs") },
	} {
		c := tree(t, "0::/\n", "1\n", "")
		if err := os.Remove(spoil(c)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Prepare(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestOOMScore(t *testing.T) {
	dir := files(t, map[string]string{"score": "0\n", "other": "x\n"})
	if now, forbidden, err := SetOOMScoreAdj(filepath.Join(dir, "score")); err != nil || forbidden || now != OOMScoreAdj {
		t.Errorf("got %d, %v, %v", now, forbidden, err)
	}
	if _, _, err := SetOOMScoreAdj(filepath.Join(dir, "none")); err == nil {
		t.Error("no error without the file")
	}
	if _, err := ReadOOMScoreAdj(filepath.Join(dir, "other")); err == nil {
		t.Error("no error for a word")
	}
	// The machine's own: what it says holds, whether or not it may be changed.
	now, forbidden, err := SetOOMScoreAdj(OOMFile)
	if read, e := ReadOOMScoreAdj(OOMFile); err != nil || e != nil || read != now || forbidden == (now == OOMScoreAdj) {
		t.Errorf("got %d, %v, %v; the file says %d", now, forbidden, err, read)
	}
}

func TestPrepare(t *testing.T) {
	dir := files(t, map[string]string{"score": "0\n"})
	remarks, err := Prepare(Cgroups{dir, ""}, filepath.Join(dir, "score"))
	if err != nil || len(remarks) > 0 {
		t.Errorf("got %q, %v", remarks, err)
	}
	remarks, err = Prepare(Cgroups{dir, ""}, OOMFile)
	now, _ := ReadOOMScoreAdj(OOMFile)
	said := slices.ContainsFunc(remarks, func(s string) bool { return strings.Contains(s, "restrict_oom_score_adj") })
	if err != nil || said == (now == OOMScoreAdj) {
		t.Errorf("got %q, %v with a score of %d", remarks, err, now)
	}
	c := tree(t, "0::/\n", "1\n", "")
	if err := os.Remove(c.Self); err != nil {
		t.Fatal(err)
	}
	if _, err := Prepare(c, OOMFile); err == nil {
		t.Error("no error of the groups")
	}
}

func TestResolvConf(t *testing.T) {
	dir := files(t, map[string]string{
		"stub": "# nameserver 192.0.2.1\nnameserver 127.0.0.53\nsearch a\n",
		"real": "nameserver\nnameserver 127.0.0.53\nnameserver 192.0.2.53\n",
	})
	stub, real := filepath.Join(dir, "stub"), filepath.Join(dir, "real")
	for _, tc := range []struct {
		files []string
		want  string
	}{
		{[]string{stub, real}, real},
		{[]string{real, stub}, real},
		{[]string{filepath.Join(dir, "none"), stub}, ""},
	} {
		if got := ResolvConf(tc.files); got != tc.want {
			t.Errorf("%v: got %q", tc.files, got)
		}
	}
}

func TestWritable(t *testing.T) {
	dir := files(t, map[string]string{"setting": "1\n"})
	if err := Writable(filepath.Join(dir, "setting")); err != nil {
		t.Error(err)
	}
	if err := Writable(filepath.Join(dir, "none")); err == nil {
		t.Error("a setting that is not there may be changed")
	}
	if got := read(t, dir, "setting"); got != "1\n" {
		t.Errorf("changed it to %q", got)
	}
}

func TestCapabilities(t *testing.T) {
	dir := files(t, map[string]string{"some": "Name:\tx\nCapEff:\t0000000001000000\n", "none": "Name:\tx\n"})
	for capability, want := range map[uint]bool{24: true, 23: false} {
		if got, err := Capable(filepath.Join(dir, "some"), capability); got != want || err != nil {
			t.Errorf("%d: %t, %v", capability, got, err)
		}
	}
	for _, name := range []string{"none", "missing"} {
		if _, err := Capable(filepath.Join(dir, name), 24); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Capable(StatusFile, 0); err != nil {
		t.Error(err)
	}
}
