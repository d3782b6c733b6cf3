package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestLinkedPackagesAreSilent runs this program for nothing but the
// initialisation of its packages, without the rights that root has over the
// kernel: in a user namespace, so that root can try it too.
func TestLinkedPackagesAreSilent(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.list=^$")
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("SKIPPED: root may not make a user namespace here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	if stderr.Len() > 0 {
		t.Errorf("packages write while they are initialised:\n%s", stderr.String())
	}
}
