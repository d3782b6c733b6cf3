package kine

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"k8sbuild.dev/distribution/pkg/config"
)

// roles are what the test binary is instead of the tests, by the variable that
// holds its data directory: servers that work until they are killed.
var roles = map[string]func(dir string){victimDir: beVictim, loadedDir: beLoaded, panickingDir: bePanicking}

// loadedName is what the keys of a server under load begin with: process ids come again.
const loadedName = "KINE_TEST_LOADED_NAME"

// serve starts a storage in a process that has a role.
func serve(dir string) *clientv3.Client {
	cfg := config.Default()
	cfg.DataDir = dir
	made, err := newService(cfg)
	if err != nil {
		panic(err)
	}
	s := made.(*Storage)
	if err := s.Start(context.Background()); err != nil {
		panic(err)
	}
	c, err := dial(s)
	if err != nil {
		panic(err)
	}
	return c
}

// child is what became of a process that had a role.
type child struct {
	pid, lines int
	code       int // -1 where a signal ended it
	failure    string
	keys       string // what those that it wrote begin with
}

// play runs a role on dir to its end. take gets each line that it says, and the
// process is killed after n of them; 0 lets it end by itself.
func play(t *testing.T, role, dir string, n int, take func(string)) child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	keys := fmt.Sprintf("/registry/loaded/%d-", time.Now().UnixNano())
	cmd.Env = append(os.Environ(), role+"="+dir, loadedName+"="+keys)
	var failure strings.Builder
	cmd.Stderr = &failure
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for said := bufio.NewScanner(out); said.Scan(); {
		take(said.Text())
		if lines++; lines == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || lines < n {
		t.Fatalf("the server ended by itself after %d writes: %v\n%s", lines, err, failure.String())
	}
	return child{cmd.Process.Pid, lines, cmd.ProcessState.ExitCode(), failure.String(), keys}
}
