package kine

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// maxSocketPath is the length of sun_path without its closing NUL.
const maxSocketPath = 107

// plain are the paths that stand for themselves in an endpoint URL.
var plain = regexp.MustCompile(`^/[A-Za-z0-9._/-]*$`)

// socket is the listener and what keeps its address alive.
type socket struct {
	net.Listener
	dir      *os.File // open for as long as address leads through it, else nil
	endpoint string
}

// listen binds the unix socket at path, for this user alone. A socket that a
// live server answers on is never removed, one that nobody answers on is.
//
// A socket address holds 107 bytes and the endpoint is parsed as a URL, but a
// data directory may have a longer or odd name. Such a directory is opened and
// addressed as /proc/PID/fd/N: the socket stays where it belongs, below the data
// directory and under its permissions, and both sides get a short plain path.
// A relative path would bind the process to its working directory, an abstract
// address has no permissions, and a second folder elsewhere would need its own clean-up.
func listen(path string) (_ *socket, err error) {
	s := &socket{}
	defer func() {
		if err != nil && s.dir != nil {
			s.dir.Close()
		}
	}()
	address := path
	if len(path) > maxSocketPath || !plain.MatchString(path) {
		if s.dir, err = os.Open(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("open the socket's directory: %w", err)
		}
		address = fmt.Sprintf("/proc/%d/fd/%d/%s", os.Getpid(), s.dir.Fd(), filepath.Base(path))
	}
	if err := removeStale(path, address); err != nil {
		return nil, err
	}
	if s.Listener, err = net.Listen("unix", address); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(address, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("close %s to other users: %w", path, err), s.Listener.Close())
	}
	s.endpoint = "unix://" + address
	return s, nil
}

// Close stops listening and removes the socket.
func (s *socket) Close() error {
	err := s.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil // the server that listened on it has closed it
	}
	if s.dir != nil {
		err = errors.Join(err, s.dir.Close())
	}
	return err
}

// removeStale removes the socket that a killed server left at address. path is
// its name for people.
func removeStale(path, address string) error {
	info, err := os.Lstat(address)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is in the way: it is no socket; move it away", path)
	}
	conn, err := net.DialTimeout("unix", address, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("a server answers on %s already; stop it first", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("find out whether a server answers on %s: %w", path, err)
	}
	if err := os.Remove(address); err != nil {
		return fmt.Errorf("remove the stale socket %s: %w", path, err)
	}
	return nil
}
