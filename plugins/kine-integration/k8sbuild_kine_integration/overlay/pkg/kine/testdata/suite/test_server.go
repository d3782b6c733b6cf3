// Package testserver stands in for upstream's, which starts an etcd: it starts
// our storage in a process of its own. Nothing but upstream's tests is compiled
// with it, see suite_test.go.
package testserver

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// NewTestConfig is a configuration of which the tests change one field.
func NewTestConfig(t testing.TB) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Dir = t.TempDir()
	return cfg
}

// RunEtcd is a client of a new storage, which runs until the test ends.
func RunEtcd(t testing.TB, cfg *embed.Config) *clientv3.Client {
	t.Helper()
	if cfg == nil {
		cfg = NewTestConfig(t)
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{serve(t, cfg.Dir, cfg.ExperimentalWatchProgressNotifyInterval)},
		DialTimeout: 10 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithBlock()},
		Logger:      zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// serve starts a storage on dir and returns its address.
func serve(t testing.TB, dir string, notify time.Duration) string {
	t.Helper()
	cmd := exec.Command(os.Getenv("KINE_TEST_SERVER"))
	cmd.Env = append(os.Environ(), "KINE_TEST_SERVED_DIR="+dir, "KINE_TEST_NOTIFY="+notify.String())
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	end, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the storage ended with %v", err)
		}
	})
	address, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatalf("the storage says nothing: %v", err)
	}
	return strings.TrimSpace(address)
}
