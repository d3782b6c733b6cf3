package kine

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// leaveSocket is what a server leaves behind at path: its listener, and the
// socket file that stays when it is closed.
func leaveSocket(t *testing.T, path string) net.Listener {
	t.Helper()
	dir, err := os.Open(filepath.Dir(path)) // a test's folder may be too long for an address
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	left, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	t.Cleanup(func() { left.Close() })
	return left
}

func TestListenReplacesOnlyAStaleSocket(t *testing.T) {
	tests := map[string]struct {
		before func(t *testing.T, path string)
		fault  string
	}{
		"nothing there": {func(*testing.T, string) {}, ""},
		"stale":         {func(t *testing.T, path string) { leaveSocket(t, path).Close() }, ""},
		"live":          {func(t *testing.T, path string) { leaveSocket(t, path) }, "a server answers on"},
		"a file": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "it is no socket"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), socketFile)
			test.before(t, path)
			s, err := listen(path)
			if test.fault != "" {
				if err == nil || !strings.Contains(err.Error(), test.fault) || !strings.Contains(err.Error(), path) {
					t.Errorf("error %v", err)
				}
				if !exists(t, path) {
					t.Error("it was removed")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the socket is open to others: %v %v", info, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if exists(t, path) {
				t.Error("the socket is still there")
			}
		})
	}
}

func TestListenNamesTheFolderThatIsMissing(t *testing.T) {
	for _, folder := range []string{"/nowhere", "/no where"} {
		if _, err := listen(filepath.Join(folder, socketFile)); err == nil || !strings.Contains(err.Error(), folder) {
			t.Errorf("error %v", err)
		}
	}
}

func TestEndpointIsShortAndPlain(t *testing.T) {
	for _, name := range []string{"plain", "sp ace", strings.Repeat("x", 200)} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		s, err := listen(filepath.Join(dir, socketFile))
		if err != nil {
			t.Fatal(err)
		}
		address := strings.TrimPrefix(s.endpoint, "unix://")
		if len(address) > maxSocketPath || !plain.MatchString(address) {
			t.Errorf("%q gives %q", name, address)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
