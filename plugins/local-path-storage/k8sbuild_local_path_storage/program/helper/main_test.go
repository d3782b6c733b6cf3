package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFolderComesAndGoes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	path := filepath.Join(t.TempDir(), "pvc-1_default_data")
	args := []string{"-p", path, "-s", "1024", "-m", "Filesystem"}
	for range 2 {
		if err := run(append(args, "-a", "create")); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := os.Stat(path); err != nil || found.Mode() != os.ModeDir|0o777 {
		t.Errorf("got %v, %v", found, err)
	}
	if err := os.WriteFile(filepath.Join(path, "a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := run(append(args, "-a", "delete")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNoVolume(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, `"" is no folder`},
		{[]string{"-p", "/", "-a", "delete"}, `"/" is no folder`},
		{[]string{"-p", "/../", "-a", "delete"}, `"/../" is no folder`},
		{[]string{"-p", "data", "-a", "delete"}, `"data" is no folder`},
		{[]string{"-p", "/nowhere", "-a", "resize"}, "-a must be"},
		{[]string{"-x"}, "arguments: "},
		{[]string{"-p", "/dev/null/a", "-a", "create"}, "mkdir /dev/null"},
	} {
		if err := run(tc.args); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want %q", tc.args, err, tc.want)
		}
	}
}
