package boot

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inside is set in the namespaces of TestNode.
const inside = "K8S_TEST_INSIDE"

const image = "registry.k8s.io/pause:3.10"

// pause is the program in the tests' image.
const pause = `package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	fmt.Println("paused")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
}
`

// plugins is where distributions of Linux put the CNI plugins.
var plugins = []string{"/usr/lib/cni", "/opt/cni/bin"}

// lacks is what this machine has not that a node with the user's own container
// runtime needs.
func lacks() (missing []string) {
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, program := range []string{"containerd", "ctr", "runc", "iptables", "conntrack", "ip", "unshare", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if pluginDir() == "" {
		missing = append(missing, "the CNI plugin bridge")
	}
	return missing
}

func pluginDir() string {
	at := slices.IndexFunc(plugins, func(dir string) bool { _, err := os.Stat(filepath.Join(dir, "bridge")); return err == nil })
	if at < 0 {
		return ""
	}
	return plugins[at]
}

// TestNode runs itself once more in namespaces of its own: what a node does to
// the machine's network, mounts and processes ends with them.
func TestNode(t *testing.T) {
	program := binary(t, "K8S_BINARY")
	// What a service manager gives to a server.
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	if missing := lacks(); len(missing) > 0 {
		t.Skipf("SKIPPED: this machine has no %s; nothing boots a node here", strings.Join(missing, ", "))
	}
	if os.Getenv(inside) != "" {
		node(t)
		return
	}
	cmd := exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		os.Args[0], "-test.run=^TestNode$", "-test.v", "-test.timeout=8m")
	cmd.Env = append(os.Environ(), inside+"=1", "K8S_BINARY="+program)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

func node(t *testing.T) {
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "link", "add", "out0", "type", "bridge")
	run(t, "ip", "addr", "add", "192.0.2.7/24", "dev", "out0")
	run(t, "ip", "link", "set", "out0", "up")
	run(t, "ip", "route", "add", "default", "via", "192.0.2.1")
	dir := t.TempDir()
	socket := containerd(t, dir)
	run(t, "ctr", "--address="+socket, "--namespace=k8s.io", "images", "import", "--no-unpack=false", pauseImage(t, dir))
	b := prepare(t, filepath.Join(dir, "data"), "--disable-agent=false", "--bind-address=0.0.0.0", "--node-name=node-1",
		"--node-label=shape=round", "--node-taint=wet=very:PreferNoSchedule", "--container-runtime-endpoint="+socket,
		"--kubelet-arg=root-dir="+filepath.Join(dir, "kubelet"), "--kubelet-arg=max-pods=20",
		// The machine's disk may be nearly full, which is not what is tried here.
		"--kubelet-arg=eviction-hard=memory.available<10Mi", "--kubelet-arg=image-gc-high-threshold=100")
	b.startNode("first start")
	got := b.kubectl("get", "node", "node-1", "-o",
		"jsonpath={.metadata.labels.shape} {.spec.taints[?(@.key=='wet')].value} {.status.capacity.pods} {.status.addresses[?(@.type=='InternalIP')].address}")
	if got != "round very 20 192.0.2.7" {
		t.Errorf("the node is %q", got)
	}
	b.pod("first")
	if got := b.kubectl("logs", "first"); got != "paused\n" {
		t.Errorf("the log is %q", got)
	}
	b.refused()
	b.wantDeclared()
	id := func() string {
		return b.kubectl("get", "pod", "first", "-o", "jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}")
	}
	before := id()
	b.stop()
	// As if it had expired: the node exists, and gets a certificate all the same.
	if err := os.Remove(filepath.Join(b.dir, "kubelet", "pki", "kubelet-client-current.pem")); err != nil {
		t.Fatal(err)
	}
	b.startNode("second start")
	b.pod("second")
	if after := id(); after != before {
		t.Errorf("the pod's container is %s, was %s", after, before)
	}
	b.kubectl("delete", "pod", "first", "second", "--grace-period=1")
	b.stop()
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// startNode starts the server and waits for its node.
func (b *booted) startNode(what string) {
	b.t.Helper()
	begin := time.Now()
	b.start()
	b.t.Logf("%s: ready after %s", what, time.Since(begin).Round(time.Millisecond))
	b.waitFor(func() bool {
		return strings.Count(b.text(), `"Node is ready"`) == strings.Count(b.text(), `mode="single"`)
	}, "ready node")
	b.t.Logf("%s: node ready after %s", what, time.Since(begin).Round(time.Millisecond))
}

// apply has kubectl make an object, as the holder of a kubeconfig below the data directory.
func (b *booted) apply(kubeconfig string, object map[string]any) (string, error) {
	b.t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(binary(b.t, "K8S_BINARY"), "kubectl", "create", "-f", "-", "--kubeconfig="+filepath.Join(b.dir, kubeconfig))
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// pod runs a pod and waits until it runs.
func (b *booted) pod(name string) {
	b.t.Helper()
	begin := time.Now()
	object := map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "pause", "image": image, "imagePullPolicy": "Never"}}},
	}
	// The node is ready before the controllers have made the service account.
	b.waitFor(func() bool {
		out, err := b.apply("admin.kubeconfig", object)
		if err != nil && !strings.Contains(out, "serviceaccount") {
			b.t.Fatalf("%v\n%s", err, out)
		}
		return err == nil
	}, "pod "+name)
	b.kubectl("wait", "--for=condition=Ready", "pod/"+name, "--timeout=60s")
	b.t.Logf("pod %s: ready after %s", name, time.Since(begin).Round(time.Millisecond))
}

// refused asks, as the node, for what is not its own.
func (b *booted) refused() {
	b.t.Helper()
	for i, tc := range []struct{ user, signer, purpose, san, want string }{
		{"node-1", "kubelet-serving", "server auth", "kubernetes.default", "a name of the cluster"},
		{"node-1", "kubelet-serving", "server auth", "10.43.0.1", "no machine's address"},
		{"node-2", "kubelet-serving", "server auth", "node-2", "is not the node node-2"},
		{"node-2", "kube-apiserver-client-kubelet", "client auth", "", ""},
	} {
		name := fmt.Sprintf("try-%d", i)
		out, err := b.apply("cred/kubelet.kubeconfig", map[string]any{
			"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": map[string]any{"name": name},
			"spec": map[string]any{
				"signerName": "kubernetes.io/" + tc.signer, "usages": []string{"digital signature", tc.purpose},
				"request": base64.StdEncoding.EncodeToString(request(b.t, tc.user, tc.san)),
			},
		})
		if err != nil {
			// The API server itself has none of it.
			b.t.Logf("%+v: %s", tc, strings.TrimSpace(out))
			continue
		}
		b.kubectl("wait", "--for=condition=Denied", "csr/"+name, "--timeout=20s")
		if got := b.kubectl("get", "csr", name, "-o", "jsonpath={.status.conditions[*].message} {.status.certificate}"); !strings.Contains(got, tc.want) || strings.HasSuffix(got, "=") {
			b.t.Errorf("%+v: got %q", tc, got)
		}
	}
}

func request(t *testing.T, node, san string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}}}
	if san != "" {
		template.DNSNames = []string{san}
	}
	if san == "10.43.0.1" {
		template.DNSNames, template.IPAddresses = nil, append(template.IPAddresses, []byte{10, 43, 0, 1})
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// containerd runs Debian's, as a user would, and returns its socket.
func containerd(t *testing.T, dir string) (socket string) {
	t.Helper()
	socket = filepath.Join(dir, "c.sock")
	write(t, filepath.Join(dir, "cni", "10-bridge.conflist"), `{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge",
		"bridge": "pods0", "isGateway": true, "ipam": {"type": "host-local", "dataDir": "`+dir+`/ipam", "ranges": [[{"subnet": "10.42.0.0/24"}]]}}]}`)
	write(t, filepath.Join(dir, "config.toml"), fmt.Sprintf(`version = 2
root = %[1]q
state = %[2]q
[grpc]
address = %[3]q
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %[4]q
# Where the machine lacks CAP_SYS_RESOURCE, no pod would start without.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = %[5]q
conf_dir = %[6]q
[plugins."io.containerd.internal.v1.opt"]
path = %[7]q
`, dir+"/root", dir+"/state", socket, image, pluginDir(), dir+"/cni", dir+"/opt"))
	log, err := os.Create(filepath.Join(dir, "containerd.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("containerd", "--config="+filepath.Join(dir, "config.toml"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("containerd: %s", text[max(0, len(text)-3000):])
		}
		unmountBelow(dir)
	})
	for deadline := time.Now().Add(30 * time.Second); exec.Command("ctr", "--address="+socket, "version").Run() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("containerd does not answer")
		}
	}
	return socket
}

// unmountBelow lets the test's folder be removed.
func unmountBelow(dir string) {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); strings.HasPrefix(fields[1], dir) {
			_ = syscall.Unmount(fields[1], syscall.MNT_DETACH)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), fs.FileMode(0o755)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

type file struct {
	name string
	data []byte
}

func tarOf(t *testing.T, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// pauseImage is an image in the form of `docker save`, so that
// no registry is needed.
func pauseImage(t *testing.T, dir string) (path string) {
	t.Helper()
	source, made := filepath.Join(dir, "pause.go"), filepath.Join(dir, "pause")
	write(t, source, pause)
	// Static, as this program is not under the race detector.
	t.Setenv("CGO_ENABLED", "0")
	run(t, "go", "build", "-o", made, source)
	program, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	layer := tarOf(t, file{"pause", program})
	config := fmt.Sprintf(`{"architecture": %q, "os": "linux", "config": {"Entrypoint": ["/pause"]},
		"rootfs": {"type": "layers", "diff_ids": ["sha256:%x"]}}`, runtime.GOARCH, sha256.Sum256(layer))
	manifest := fmt.Sprintf(`[{"Config": "config.json", "RepoTags": [%q], "Layers": ["layer.tar"]}]`, image)
	path = filepath.Join(dir, "pause.tar")
	write(t, path, string(tarOf(t, file{"config.json", []byte(config)}, file{"layer.tar", layer}, file{"manifest.json", []byte(manifest)})))
	return path
}
