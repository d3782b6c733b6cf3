package install

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// unpacked is a folder of artifacts with the unpacked archive of a version in it.
func unpacked(t *testing.T, version string) (program string) {
	t.Helper()
	artifacts := t.TempDir()
	folder := filepath.Join(artifacts, "k8s-"+version)
	program = write(t, filepath.Join(folder, "k8s"), "program "+version)
	write(t, filepath.Join(folder, "k8s.service"), "unit "+version)
	write(t, filepath.Join(folder, "k8s.env.example"), "settings "+version)
	write(t, filepath.Join(folder, "libexec", "k8s", "containerd"), "containerd "+version)
	write(t, filepath.Join(folder, "libexec", "k8s", "only-in-"+version), "")
	write(t, filepath.Join(artifacts, "k8s-images-"+version+".tar.zst"), "images "+version)
	return program
}

type told map[string]string

// installed installs, as it was said before, and returns what became of each file, by path below the root.
func installed(t *testing.T, program, root string) told {
	t.Helper()
	before := tree(t, root)
	would := install(t, program, root, true)
	same(t, tree(t, root), before)
	became := install(t, program, root, false)
	same(t, would, became)
	return became
}

func install(t *testing.T, program, root string, dry bool) told {
	t.Helper()
	became := told{}
	err := Install(Options{Program: program, Layout: Layout{root}, DataDir: "/var/lib/k8s", Dry: dry, Told: func(what, path string) {
		name, err := filepath.Rel(root, path)
		if err != nil {
			t.Error(err)
		}
		became[name] = what
	}})
	if err != nil {
		t.Fatal(err)
	}
	return became
}

// tree are the files below a folder, with mode and content.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if target, err := os.Readlink(path); err == nil {
			found[name] = "-> " + target
			return nil
		}
		text, err := os.ReadFile(path)
		found[name] = fmt.Sprintf("%o %s", info.Mode().Perm(), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func whole(version, settings string) map[string]string {
	return map[string]string{
		"usr/local/bin/k8s":                                     "755 program " + version,
		"usr/local/bin/kubectl":                                 "-> k8s",
		"usr/local/libexec/k8s/containerd":                      "755 containerd " + version,
		"usr/local/libexec/k8s/only-in-" + version:              "755 ",
		"etc/systemd/system/k8s.service":                        "644 unit " + version,
		"etc/default/k8s":                                       "644 settings " + settings,
		"var/lib/k8s/images/k8s-images-" + version + ".tar.zst": "644 images " + version,
	}
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if got[name] != want[name] {
			t.Errorf("%s is %q, want %q", name, got[name], want[name])
		}
	}
	for name := range want {
		if _, is := got[name]; !is {
			t.Errorf("no %s", name)
		}
	}
}

func TestInstallAgainAndUpgrade(t *testing.T) {
	root := t.TempDir()
	one := unpacked(t, "v1")
	for path, what := range installed(t, one, root) {
		if what != Written {
			t.Errorf("%s: %s", path, what)
		}
	}
	same(t, tree(t, root), whole("v1", "v1"))
	if info, err := os.Stat(filepath.Join(root, "var/lib/k8s")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory is %v, %v", info.Mode(), err)
	}
	for path, what := range installed(t, one, root) {
		if what != Unchanged && path != "etc/default/k8s" {
			t.Errorf("again: %s: %s", path, what)
		}
	}
	// Who runs a program goes on with it.
	running, err := os.Open(filepath.Join(root, "usr/local/bin/k8s"))
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	became := installed(t, unpacked(t, "v2"), root)
	if became["etc/default/k8s"] != Kept || became["var/lib/k8s/images/k8s-images-v1.tar.zst"] != Removed {
		t.Errorf("got %v", became)
	}
	same(t, tree(t, root), whole("v2", "v1"))
	text := make([]byte, 10)
	if _, err := running.Read(text); err != nil || string(text) != "program v1" {
		t.Errorf("the running program is %q, %v", text, err)
	}
}

func TestWithoutRuntimeAndImages(t *testing.T) {
	program := unpacked(t, "v1")
	folder := filepath.Dir(program)
	for _, name := range []string{"libexec", "k8s.env.example", "../k8s-images-v1.tar.zst"} {
		if err := os.RemoveAll(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	root := t.TempDir()
	installed(t, program, root)
	want := whole("v1", "v1")
	for name := range want {
		if strings.Contains(name, "libexec") || strings.HasPrefix(name, "var") || name == "etc/default/k8s" {
			delete(want, name)
		}
	}
	same(t, tree(t, root), want)
}

func TestOthersKubectlStays(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "usr/local/bin/kubectl"), "another")
	if became := installed(t, unpacked(t, "v1"), root); became["usr/local/bin/kubectl"] != Kept {
		t.Errorf("got %v", became)
	}
	if err := Remove(Layout{root}, false, func(string, string) {}); err != nil {
		t.Error(err)
	}
	if got := tree(t, root)["usr/local/bin/kubectl"]; got != "644 another" {
		t.Errorf("got %q", got)
	}
}

func TestSumsThatDiffer(t *testing.T) {
	sum := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	for _, tc := range []struct {
		name, folder, lines, want string
	}{
		{"all match", ".", sum("program v1") + "  k8s\n\n" + sum("containerd v1") + " *libexec/k8s/containerd\n", ""},
		{"another's", "..", sum("x") + "  something-else\n", ""},
		{"images", "..", sum("program v1") + "  k8s-v1/k8s\n" + sum("x") + "  k8s-images-v1.tar.zst\n", "k8s-images-v1.tar.zst is not what was built"},
		{"runtime", ".", sum("x") + "  libexec/k8s/containerd\n", "containerd is not what was built"},
		{"no sums", ".", "hello\n", "SHA256SUMS:1: not a line of sha256sum"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			program, root := unpacked(t, "v1"), t.TempDir()
			write(t, filepath.Join(filepath.Dir(program), tc.folder, "SHA256SUMS"), tc.lines)
			err := Install(Options{Program: program, Layout: Layout{root}, DataDir: "/d", Told: func(string, string) {}})
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v", err)
			}
			if got := tree(t, root); len(got) > 0 {
				t.Errorf("wrote %v", got)
			}
		})
	}
}

func TestAloneThereIsNothingToInstall(t *testing.T) {
	program := write(t, filepath.Join(t.TempDir(), "k8s"), "")
	err := Install(Options{Program: program, Layout: Layout{t.TempDir()}})
	if err == nil || !strings.Contains(err.Error(), "unpack the whole archive") {
		t.Errorf("got %v", err)
	}
	if err := Install(Options{Program: program + "-none"}); err == nil {
		t.Error("no error without a program")
	}
}

func TestPlacesThatAreTaken(t *testing.T) {
	for _, name := range []string{"usr/local/bin/k8s", "usr/local/libexec/k8s/containerd", "etc", "var/lib/k8s/images/k8s-images-v1.tar.zst"} {
		root := t.TempDir()
		if name == "etc" {
			write(t, filepath.Join(root, name), "a file")
		} else {
			write(t, filepath.Join(root, name, "in a folder"), "")
		}
		err := Install(Options{Program: unpacked(t, "v1"), Layout: Layout{root}, DataDir: "/var/lib/k8s", Told: func(string, string) {}})
		if name == "usr/local/libexec/k8s/containerd" {
			// The whole folder is ours, and replaced.
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "install: ") {
			t.Errorf("%s: got %v", name, err)
		}
		drafts, _ := filepath.Glob(filepath.Join(root, "*", "*", "*", ".*"))
		if len(drafts) > 0 {
			t.Errorf("left %q", drafts)
		}
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	root := t.TempDir()
	installed(t, unpacked(t, "v1"), root)
	var removed []string
	l := Layout{root}
	if err := Remove(l, true, func(_, path string) { removed = append(removed, path) }); err != nil || len(removed) != 4 {
		t.Errorf("removed %q, %v", removed, err)
	}
	if got := tree(t, root)["etc/default/k8s"]; got != "644 settings v1" {
		t.Errorf("the settings are %q", got)
	}
	for range 2 {
		if err := Remove(l, false, func(string, string) {}); err != nil {
			t.Error(err)
		}
	}
	want := map[string]string{"var/lib/k8s/images/k8s-images-v1.tar.zst": "644 images v1"}
	same(t, tree(t, root), want)
	if _, err := os.Stat(filepath.Join(root, "usr/local/libexec")); err == nil {
		t.Error("left an empty folder")
	}
}
