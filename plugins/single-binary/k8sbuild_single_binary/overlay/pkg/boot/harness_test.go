package boot

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8sbuild.dev/distribution/pkg/components/componenttest"
)

// givers say what gives the tests a program, by the variable that names it.
var givers = map[string]string{
	"K8S_BINARY":  "`k8sbuild test` without --no-inputs",
	"ETCD_BINARY": "`k8sbuild test --validate-ha`",
}

func binary(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("SKIPPED: %s names no program; %s builds it", variable, givers[variable])
	}
	return path
}

type booted struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string
	url  string
	log  string
	args []string
	env  []string
	// notified is where systemd would be told of the last start.
	notified *net.UnixConn
}

// prepare makes a server's command line on free ports. The last flag of a name wins.
func prepare(t *testing.T, dir string, args ...string) *booted {
	port := componenttest.FreePort(t)
	return &booted{
		t: t, dir: dir, url: fmt.Sprintf("https://127.0.0.1:%d", port),
		log: filepath.Join(t.TempDir(), "log"),
		args: append([]string{
			"--disable-agent", "--data-dir=" + dir, fmt.Sprintf("--https-listen-port=%d", port),
			fmt.Sprintf("--controller-manager-port=%d", componenttest.FreePort(t)), fmt.Sprintf("--scheduler-port=%d", componenttest.FreePort(t)),
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
	b.t.Cleanup(func() { socket.Close() })
	b.notified = socket
	log, err := os.OpenFile(b.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	b.cmd = exec.Command(binary(b.t, "K8S_BINARY"), b.args...)
	b.cmd.Env = append(append(os.Environ(), "NOTIFY_SOCKET="+socketPath), b.env...)
	b.cmd.Stderr = log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = b.cmd.Process.Kill() })
	if got := b.told(time.Minute); got != "READY=1" {
		b.t.Fatalf("got %q\n%s", got, b.tail())
	}
}

// told is what systemd would be told next, empty if it is nothing for so long.
func (b *booted) told(wait time.Duration) string {
	_ = b.notified.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 64)
	n, _ := b.notified.Read(buf)
	return string(buf[:n])
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

// files are the data directory's files with their content, but for the
// database, which is written to all the time.
func (b *booted) files() map[string]string {
	b.t.Helper()
	content := map[string]string{}
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), "state.db") {
			return err
		}
		data, err := os.ReadFile(path)
		content[path] = string(data)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return content
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

// etcd starts one, which kill ends without a word.
func etcd(t *testing.T) (url string, kill func()) {
	t.Helper()
	url = fmt.Sprintf("http://127.0.0.1:%d", componenttest.FreePort(t))
	peer := fmt.Sprintf("http://127.0.0.1:%d", componenttest.FreePort(t))
	cmd := exec.Command(binary(t, "ETCD_BINARY"), "--data-dir="+t.TempDir(), "--listen-client-urls="+url,
		"--advertise-client-urls="+url, "--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer,
		"--initial-cluster=default="+peer)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	return url, kill
}

func (b *booted) waitFor(done func() bool, what string) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) || b.cmd.Process.Signal(syscall.Signal(0)) != nil {
			b.t.Fatalf("no %s:\n%s", what, b.tail())
		}
	}
}

// stopped are the components in the order in which they stopped or were abandoned.
func stopped(log string) string { return inOrder(log, "stopped|abandoned") }

// inOrder are the components with one of the events, in the order of the log.
func inOrder(log, events string) string {
	var names []string
	for _, m := range regexp.MustCompile(`"Component (?:`+events+`)" component="([^"]+)"`).FindAllStringSubmatch(log, -1) {
		names = append(names, m[1])
	}
	return strings.Join(names, " ")
}

// ended is what a server that ended by itself wrote last, and wants that it
// stopped the components in this order, and an exit code of 1.
func (b *booted) ended(err error, log, order string) (last string) {
	b.t.Helper()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		b.t.Errorf("got %v, want exit code 1", err)
	}
	if got := stopped(log); got != order {
		b.t.Errorf("stopped in the order %q, want %q", got, order)
	}
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return lines[len(lines)-1]
}

// port is a port of the server's command line.
func (b *booted) port(flag string) string {
	for _, arg := range slices.Backward(b.args) {
		if value, ok := strings.CutPrefix(arg, "--"+flag+"="); ok {
			return value
		}
	}
	b.t.Fatalf("no --%s", flag)
	return ""
}

// metrics are the metrics at url, each series once.
func (b *booted) metrics(url string) map[string]string {
	b.t.Helper()
	resp, err := b.client().Get(url)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: %s, %v\n%.300s", url, resp.Status, err, text)
	}
	series := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "} ")
		if !found {
			name, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		}
		if strings.HasPrefix(name, "#") {
			continue
		}
		if _, twice := series[name]; twice {
			b.t.Errorf("%s: %s is there twice", url, name)
		}
		series[name] = value
	}
	return series
}
