package boot

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func binary(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("SKIPPED: %s does not name a binary to boot", variable)
	}
	return path
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

type booted struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string
	url  string
	log  string
	args []string
}

func prepare(t *testing.T, dir string, args ...string) *booted {
	port := freePort(t)
	return &booted{
		t: t, dir: dir, url: fmt.Sprintf("https://127.0.0.1:%d", port),
		log: filepath.Join(t.TempDir(), "log"),
		args: append([]string{
			"--disable-agent", "--data-dir=" + dir, fmt.Sprintf("--https-listen-port=%d", port),
			fmt.Sprintf("--controller-manager-port=%d", freePort(t)), fmt.Sprintf("--scheduler-port=%d", freePort(t)),
		}, args...),
	}
}

// start starts the server and waits until systemd would be told that it is ready.
func (b *booted) start() {
	b.t.Helper()
	socketPath := filepath.Join(b.t.TempDir(), "n")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socketPath, Net: "unixgram"})
	if err != nil {
		b.t.Fatal(err)
	}
	defer socket.Close()
	log, err := os.OpenFile(b.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	b.cmd = exec.Command(binary(b.t, "K8S_BINARY"), b.args...)
	b.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socketPath)
	b.cmd.Stderr = log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = b.cmd.Process.Kill() })
	_ = socket.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 64)
	n, err := socket.Read(buf)
	if err != nil || string(buf[:n]) != "READY=1" {
		b.t.Fatalf("got %q, %v\n%s", buf[:n], err, b.tail())
	}
}

func (b *booted) text() string {
	data, _ := os.ReadFile(b.log)
	return string(data)
}

func (b *booted) tail() string {
	text := b.text()
	return text[max(0, len(text)-2000):]
}

// stop sends SIGTERM and wants an orderly end in ten seconds.
func (b *booted) stop() {
	b.t.Helper()
	begin := time.Now()
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	err := b.cmd.Wait()
	if took := time.Since(begin); err != nil || took > 10*time.Second {
		b.t.Errorf("stop: %v after %s\n%s", err, took, b.tail())
	}
}

func (b *booted) kubectl(args ...string) string {
	b.t.Helper()
	cmd := exec.Command(binary(b.t, "K8S_BINARY"), append([]string{"kubectl"}, args...)...)
	cmd.Env = []string{"K8S_DATA_DIR=" + b.dir, "HOME=" + b.t.TempDir()}
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("kubectl %v: %v\n%s\n%s", args, err, out, b.tail())
	}
	return string(out)
}

func (b *booted) client() *http.Client {
	tlsDir := filepath.Join(b.dir, "tls")
	cert, err := tls.LoadX509KeyPair(filepath.Join(tlsDir, "client-admin.crt"), filepath.Join(tlsDir, "client-admin.key"))
	if err != nil {
		b.t.Fatal(err)
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true},
	}}
}

// watch opens n watches that stay open until the server ends them.
func (b *booted) watch(n int) {
	b.t.Helper()
	for range n {
		resp, err := b.client().Get(b.url + "/api/v1/configmaps?watch=true")
		if err != nil || resp.StatusCode != http.StatusOK {
			b.t.Fatalf("watch: %v", err)
		}
		go io.Copy(io.Discard, resp.Body)
	}
}

func TestSingle(t *testing.T) {
	b := prepare(t, filepath.Join(t.TempDir(), "data"))
	b.start()
	b.kubectl("create", "configmap", "kept", "--from-literal=a=b")
	out, err := exec.Command(binary(t, "K8S_BINARY"), b.args...).CombinedOutput()
	want := fmt.Sprintf("in use by another server (pid %d)", b.cmd.Process.Pid)
	if err == nil || !bytes.Contains(out, []byte(want)) || bytes.Count(out, []byte("\n")) != 1 {
		t.Errorf("second server: %v %s", err, out)
	}
	b.watch(50)
	b.stop()
	order := regexp.MustCompile(`"Component stopped" component="([^"]+)"`).FindAllStringSubmatch(b.text(), -1)
	var names []string
	for _, m := range order {
		names = append(names, m[1])
	}
	if got := strings.Join(names, " "); !strings.HasPrefix(got, "kube-scheduler kube-controller-manager kube-apiserver ") {
		t.Errorf("stopped in the order %s", got)
	}
	b.start()
	b.kubectl("get", "configmap", "kept")
	if strings.Count(b.text(), "Made certificates") != 1 {
		t.Error("certificates were made again")
	}
	b.stop()
}

func TestAnonymousIsRefused(t *testing.T) {
	b := prepare(t, filepath.Join(t.TempDir(), "data"))
	b.start()
	defer b.stop()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Get(b.url + "/version")
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %v, %v", resp, err)
	}
}

func etcd(t *testing.T) (url string) {
	t.Helper()
	url = fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	peer := fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary(t, "ETCD_BINARY"), "--data-dir="+t.TempDir(), "--listen-client-urls="+url,
		"--advertise-client-urls="+url, "--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer,
		"--initial-cluster=default="+peer)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return url
}

// TestLeader holds the patches that keep the end of leadership from ending the
// process: both components lose their lease and lead again, in one process,
// and an orderly stop as leader ends with 0.
func TestLeader(t *testing.T) {
	binary(t, "K8S_BINARY")
	b := prepare(t, filepath.Join(t.TempDir(), "data"), "--server-mode=ha", "--etcd-servers="+etcd(t))
	b.start()
	leads := regexp.MustCompile(`successfully acquired lease kube-system/kube-(scheduler|controller-manager)`)
	b.waitFor(func() bool { return len(leads.FindAllString(b.text(), -1)) == 2 }, "leaders")
	for _, lease := range []string{"kube-scheduler", "kube-controller-manager"} {
		b.kubectl("-n", "kube-system", "patch", "lease", lease, "--type=merge",
			`-p={"spec":{"holderIdentity":"thief","leaseDurationSeconds":3600}}`)
	}
	b.waitFor(func() bool { return strings.Count(b.text(), "failed to renew lease") == 2 }, "lost leases")
	b.kubectl("-n", "kube-system", "delete", "lease", "kube-scheduler", "kube-controller-manager")
	b.waitFor(func() bool { return len(leads.FindAllString(b.text(), -1)) == 4 }, "leaders again")
	b.watch(50)
	b.stop()
}

func (b *booted) waitFor(done func() bool, what string) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) || b.cmd.Process.Signal(syscall.Signal(0)) != nil {
			b.t.Fatalf("no %s:\n%s", what, b.tail())
		}
	}
}
