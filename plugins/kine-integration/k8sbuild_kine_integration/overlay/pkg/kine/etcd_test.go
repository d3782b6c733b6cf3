package kine

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// etcdBinary names an etcd, as invoke test --validate-ha gives it.
const etcdBinary = "ETCD_BINARY"

// etcdServer is an etcd that runs for the test.
type etcdServer struct {
	*clientv3.Client
	url string
	pid int
}

func newEtcd(t *testing.T) *etcdServer {
	t.Helper()
	binary := os.Getenv(etcdBinary)
	if binary == "" {
		t.Skipf("SKIPPED: %s names no etcd; invoke test --validate-ha builds one", etcdBinary)
	}
	ours, peers := "http://"+freeAddress(t), "http://"+freeAddress(t)
	cmd := exec.Command(binary, "--data-dir="+t.TempDir(), "--log-level=error", "--listen-client-urls="+ours,
		"--advertise-client-urls="+ours, "--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=default="+peers)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c, err := dialTo(ours, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &etcdServer{Client: c, url: ours, pid: cmd.Process.Pid}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
