// Package nettest gives tests a network of their own: what they do to
// interfaces, routes and rules ends with it.
package nettest

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

// inside says that this process has a network of its own.
const inside = "K8S_TEST_OWN_NETWORK"

// Main runs the tests once more in a network namespace of their own, and as root
// of a user namespace where they are not root. A package's TestMain calls it.
func Main(m *testing.M) {
	if os.Getenv(inside) == "" {
		if code, err := again(); err == nil {
			os.Exit(code)
		} else {
			fmt.Fprintf(os.Stderr, "no network namespace for the tests: %v\n", err)
		}
	} else if lo, err := netlink.LinkByName("lo"); err == nil {
		_ = netlink.LinkSetUp(lo)
	}
	os.Exit(m.Run())
}

func again() (code int, err error) {
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1", "PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = namespaces(os.Geteuid(), os.Getegid())
	if err := cmd.Run(); cmd.ProcessState == nil {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

func namespaces(uid, gid int) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
	}
	return attr
}

// Test is what Need wants of a test.
type Test interface {
	Helper()
	Skipf(format string, args ...any)
}

// Need skips a test that has no network of its own, loudly: what is NOT tried
// is told.
func Need(t Test, what string) {
	t.Helper()
	if os.Getenv(inside) == "" {
		t.Skipf("SKIPPED: neither root nor user namespaces on this machine; %s are NOT tried", what)
	}
}
