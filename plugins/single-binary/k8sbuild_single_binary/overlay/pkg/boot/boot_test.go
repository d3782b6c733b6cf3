package boot

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSingle(t *testing.T) {
	b := prepare(t, filepath.Join(t.TempDir(), "data"), "--v=3")
	b.start()
	if got := inOrder(b.text(), "ready"); got != "kine certificates kube-apiserver kube-controller-manager kube-scheduler manifests node-approver" {
		t.Errorf("started in the order %s", got)
	}
	b.kubectl("create", "configmap", "kept", "--from-literal=a=b")
	// No component that starts sets the verbosity of the others back.
	if !regexp.MustCompile(` kube-apiserver/\S+\] "HTTP" verb="POST" URI="/api/v1/namespaces/default/configmaps`).MatchString(b.text()) {
		t.Error("the API server does not log requests, as --v=3 asks for")
	}
	// All components share one registry of metrics, and each serves all of them.
	for _, port := range []string{"scheduler-port", "controller-manager-port"} {
		if series := b.metrics("https://127.0.0.1:" + b.port(port) + "/metrics"); len(series) < 1000 {
			t.Errorf("%s: only %d series", port, len(series))
		}
	}
	out, err := exec.Command(binary(t, "K8S_BINARY"), b.args...).CombinedOutput()
	want := fmt.Sprintf("in use by another server (pid %d)", b.cmd.Process.Pid)
	if err == nil || !bytes.Contains(out, []byte(want)) || bytes.Count(out, []byte("\n")) != 1 {
		t.Errorf("second server: %v %s", err, out)
	}
	b.watch(50)
	b.stop()
	if got := stopped(b.text()); !strings.HasPrefix(got, "node-approver manifests kube-scheduler kube-controller-manager kube-apiserver ") {
		t.Errorf("stopped in the order %s", got)
	}
	b.start()
	b.kubectl("get", "configmap", "kept")
	if strings.Count(b.text(), "Made certificates") != 1 {
		t.Error("certificates were made again")
	}
	b.stop()
}

// TestSecondServerChangesNoFile holds that a server writes nothing before it
// knows that the data directory is its own, whatever lock files somebody removed.
func TestSecondServerChangesNoFile(t *testing.T) {
	b := prepare(t, filepath.Join(t.TempDir(), "data"))
	b.start()
	defer b.stop()
	for _, lock := range []string{"server.lock", filepath.Join("db", "server.lock")} {
		if err := os.Remove(filepath.Join(b.dir, lock)); err != nil {
			t.Fatal(err)
		}
	}
	before := b.files()
	// Other ports, other names: whatever it writes is another text.
	other := prepare(t, b.dir, "--tls-san=second.example")
	out, err := exec.Command(binary(t, "K8S_BINARY"), other.args...).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("in use by another server")) || bytes.Count(out, []byte("\n")) != 1 {
		t.Errorf("second server: %v %s", err, out)
	}
	if after := b.files(); !maps.Equal(before, after) {
		t.Errorf("files before %v, after %v", slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	}
	b.kubectl("get", "namespaces")
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

func TestKilled(t *testing.T) {
	b := prepare(t, filepath.Join(t.TempDir(), "data"))
	b.start()
	b.kubectl("create", "configmap", "kept", "--from-literal=a=b")
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
	b.start()
	b.kubectl("get", "configmap", "kept")
	b.stop()
}

// TestStopWhileControllersStart stops early in several moments, some of which
// find a controller that is being made.
func TestStopWhileControllersStart(t *testing.T) {
	b := prepare(t, filepath.Join(t.TempDir(), "data"))
	for after := range 6 {
		b.start()
		time.Sleep(time.Duration(after) * 150 * time.Millisecond)
		b.stop()
	}
	if strings.Contains(b.text(), `"Component abandoned" component="kube-controller-manager"`) {
		t.Error("the stop waited in vain for controllers that still start")
	}
}

// TestFailedComponentEndsTheProcess gives a component what it finds wrong only
// when it runs.
func TestFailedComponentEndsTheProcess(t *testing.T) {
	b := prepare(t, filepath.Join(t.TempDir(), "data"),
		"--kube-scheduler-arg=tls-cert-file=/none/a", "--kube-scheduler-arg=tls-private-key-file=/none/b")
	out, err := exec.Command(binary(t, "K8S_BINARY"), b.args...).CombinedOutput()
	last := b.ended(err, string(out), "kube-scheduler kube-controller-manager kube-apiserver certificates kine")
	if !strings.HasPrefix(last, "k8s: kube-scheduler: ") || !strings.HasSuffix(last, "no such file or directory") {
		t.Errorf("the last line is %q", last)
	}
}

// TestPortInUseIsRefusedBeforeTheStart takes a component's port away.
func TestPortInUseIsRefusedBeforeTheStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := fmt.Sprint(taken.Addr().(*net.TCPAddr).Port)
	b := prepare(t, filepath.Join(t.TempDir(), "data"), "--scheduler-port="+port)
	out, err := exec.Command(binary(t, "K8S_BINARY"), b.args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "k8s: ports: port "+port+" of kube-scheduler is in use") {
		t.Errorf("got %v, %s", err, out)
	}
	if started := inOrder(string(out), "ready"); started != "" {
		t.Errorf("%s started", started)
	}
}
