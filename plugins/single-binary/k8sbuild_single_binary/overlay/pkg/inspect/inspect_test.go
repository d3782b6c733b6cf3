package inspect

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/check"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/install"
)

// The values that must not be in an archive.
const (
	oidc     = "oidc-5f1d2c"
	password = "correct horse battery staple"
	token    = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJlLW9mLWl0"
	bearer   = "Zm9vYmFyYmF6cXV4"
	database = "hunter2hunter"
)

var b64 = base64.StdEncoding.EncodeToString

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o700)); err != nil {
		t.Fatal(err)
	}
	return path
}

// answers are those of the API server of the tests.
func answers() map[string]string {
	return map[string]string{
		"/readyz": "[+]ping ok\n",
		"/api/v1/secrets": fmt.Sprintf(`{"items": [{"data": {"password": %q, "namespace": %q}}, {"data": {"short": %q, "broken": "%%"}}]}`,
			b64([]byte(password)), b64([]byte("shop")), b64([]byte("abc"))),
		"/api/v1/nodes": `{"items": [{"metadata": {"name": "node-1", "creationTimestamp": "2026-01-01T00:00:00Z"},
			"spec": {"podCIDR": "10.42.0.0/24", "taints": [{"key": "a", "effect": "NoSchedule"}]},
			"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "posting"}],
			"capacity": {"cpu": "2"}, "nodeInfo": {"kubeletVersion": "v1.31.4"}}}]}`,
		"/api/v1/pods": `{"items": [{"metadata": {"namespace": "shop", "name": "web", "annotations": {"last": "` + database + `"}},
			"spec": {"nodeName": "node-1", "containers": [{"env": [{"name": "DB", "value": "` + database + `"}]}]},
			"status": {"phase": "Running", "containerStatuses": [
				{"name": "a", "image": "i", "ready": true, "restartCount": 2}, {"name": "b", "state": {"waiting": {"reason": "ErrImagePull"}}},
				{"name": "c", "state": {"terminated": {"reason": "Error"}}}, {"name": "d"}]}}]}`,
		"/api/v1/events": `{"items": [{"involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web"}, "type": "Warning", "reason": "Failed",
			"message": "cannot log in with ` + password + `", "lastTimestamp": "2026-01-01T00:00:00Z", "count": 3},
			{"involvedObject": {"kind": "Pod"}, "reason": "New", "eventTime": "2026-01-02T00:00:00.000000Z", "lastTimestamp": null}]}`,
	}
}

// cluster is a server that answers its administrator alone.
func cluster(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.BindAddress, cfg.NodeIPs = filepath.Join(t.TempDir(), "data"), "127.0.0.1", []string{"127.0.0.1"}
	cfg.NodeName = "node-1"
	cfg.AdvertiseAddress = "127.0.0.1"
	cfg.ExtraArgs["kube-apiserver"] = []string{"oidc-client-secret=" + oidc}
	cfg.ExtraArgs["kubelet"] = []string{"port=1"}
	cfg.ClusterDNS = "10.43.0.10"
	if _, err := certs.EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	store := certs.Cluster(cfg)
	pair, err := tls.LoadX509KeyPair(store.Cert(certs.APIServer), store.Key(certs.APIServer))
	ca, err2 := os.ReadFile(store.Cert(certs.ClientCA))
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, known := answers()[r.URL.Path]
		if !known {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, text)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	s.StartTLS()
	t.Cleanup(s.Close)
	cfg.HTTPSListenPort = s.Listener.Addr().(*net.TCPAddr).Port
	return cfg
}

func options(t *testing.T, cfg *config.Config) Options {
	t.Helper()
	return Options{
		Config: cfg, Layout: install.Layout{Root: t.TempDir()}, Version: `{"gitVersion": "v1"}`,
		Checks: []check.Finding{{Check: "clock", Level: check.OK, Message: "in order"}},
		Now:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Lines: 100,
	}
}

// unpacked is the archive's files by name.
func unpacked(t *testing.T, o Options) map[string]string {
	t.Helper()
	var packed bytes.Buffer
	if err := Write(t.Context(), &packed, o); err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		} else if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		name, inside := strings.CutPrefix(header.Name, "k8s-inspect-20260102T030405Z/")
		if err != nil || !inside || header.Mode != 0o600 {
			t.Errorf("%+v: %v", header, err)
		}
		files[name] = string(text)
	}
}

func TestArchiveSaysWhatIsAndNoSecret(t *testing.T) {
	cfg := cluster(t)
	o := options(t, cfg)
	put(t, o.Layout.Settings(), "K8S_KUBE_APISERVER_ARG=oidc-client-secret="+oidc+"\nK8S_V=4\n")
	put(t, cfg.AdminKubeconfig(), "client-key-data: "+b64([]byte("-----BEGIN EC PRIVATE KEY-----"))+"\n")
	Register(Part{Files: map[string]string{"runtime.toml": "runtime/config"}, Large: []string{"runtime/root"}, Passing: []string{"runtime/state"}})
	t.Cleanup(func() { all = registry{} })
	put(t, cfg.Path("runtime", "config"), "version = 2")
	put(t, cfg.Path("runtime", "root", "blob"), "12345")
	put(t, cfg.Path("runtime", "state", "gone"), "")
	key, err := os.ReadFile(certs.Cluster(cfg).Key(certs.Admin))
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	put(t, filepath.Join(bin, "journalctl"), "#!/bin/sh\ncat <<'EOF'\nstart "+token+"\nAuthorization: Bearer "+bearer+"\nlogin "+password+" and "+
		b64([]byte(password))+"\nDB_PASSWORD="+database+"\nabcdef.0123456789abcdef\npostgres://me:"+database+"@db/x\n"+string(key)+"end\nEOF\n")
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	files := unpacked(t, o)
	for name, want := range map[string]string{
		"version.json":                    `"v1"`,
		"checks.txt":                      "clock             in order",
		"config.json":                     `"ServiceCIDR": "10.43.0.0/16"`,
		"settings":                        "K8S_V=4",
		"data.txt":                        "5 bytes in " + cfg.Path("runtime", "root"),
		"runtime.toml":                    "version = 2",
		"log.txt":                         "end",
		"nodes.txt":                       "Ready=True KubeletReady: posting",
		"pods.txt":                        "a (i): ready, 2 restarts; b (): ErrImagePull, 0 restarts; c (): Error, 0 restarts; d (): not ready, 0 restarts",
		"events.txt":                      "2026-01-01T00:00:00Z  3      Warning  Failed  Pod shop/web  cannot log in with [redacted]",
		"machine/kernel.txt":              "Linux version",
		"unit":                            "could not be had: open ",
		"health/kube-scheduler-10259.txt": "could not be had: ",
		fmt.Sprintf("health/kube-apiserver-%d.txt", cfg.HTTPSListenPort): "[+]ping ok",
		"health/kubelet-1.txt": "https://127.0.0.1:1/healthz",
		"redaction.txt":        "the values of the cluster's Secrets are taken out",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s is %q, want %q", name, files[name], want)
		}
	}
	if strings.Contains(files["data.txt"], "gone") {
		t.Errorf("data.txt has what is passed over: %s", files["data.txt"])
	}
	whole := fmt.Sprint(files)
	planted := []string{oidc, password, b64([]byte(password)), token, bearer, database, "abcdef.0123456789abcdef", "LS0tLS1CRUdJTi"}
	for line := range strings.Lines(string(key)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") && line != "" {
			planted = append(planted, line)
		}
	}
	for _, secret := range append(planted, keysBelow(t, cfg.DataDir)...) {
		if strings.Contains(whole, secret) {
			t.Errorf("the archive has %s", secret)
		}
	}
}

// keysBelow are the second lines of all files with keys.
func keysBelow(t *testing.T, dir string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".key") {
			return err
		}
		text, err := os.ReadFile(path)
		if parts := strings.Split(string(text), "\n"); len(parts) > 2 {
			lines = append(lines, parts[1])
		}
		return err
	})
	if err != nil || len(lines) < 5 {
		t.Fatalf("%d keys, %v", len(lines), err)
	}
	return lines
}

func TestWithoutAServerThereIsAnArchiveToo(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir = filepath.Join(t.TempDir(), "none")
	cfg.BindAddress, cfg.HTTPSListenPort = "127.0.0.1", 1
	files := unpacked(t, options(t, cfg))
	for _, name := range []string{"nodes.txt", "pods.txt", "events.txt", "health/kube-proxy-10249.txt", "redaction.txt"} {
		if !strings.Contains(files[name], "could not be had") {
			t.Errorf("%s is %q", name, files[name])
		}
	}
}

func TestRedact(t *testing.T) {
	r := NewRedactor([]string{"secret-value", "secret-value-longer", "abc"})
	for text, want := range map[string]string{
		"plain abc text, 10.42.0.0/16":       "plain abc text, 10.42.0.0/16",
		"has secret-value-longer":            "has [redacted]",
		`{"password": "x\"y", "user": "me"}`: `{"password": [redacted], "user": "me"}`,
		"--token=abcdefg --v=4":              "--token=[redacted] --v=4",
		"https://me:you@host/path":           "https://[redacted]host/path",
		"Authorization: Basic dXNlcjpwYXNz":  "Authorization: Basic [redacted]",
		"-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nx": "[redacted]\nx",
		`key -----BEGIN PRIVATE KEY-----\nMII cut`:                               "key [redacted] cut",
		"image registry.example:5000/pause@sha256:0123":                          "image registry.example:5000/pause@sha256:0123",
	} {
		if got := r.Redact(text); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	if got := (Redactor{}).Redact("x"); got != "x" {
		t.Errorf("got %s", got)
	}
}

type broken struct{ after int }

func (b *broken) Write(p []byte) (int, error) {
	if b.after -= len(p); b.after < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func TestArchiveThatCannotBeWritten(t *testing.T) {
	// Not compressible, so that it does not wait for the end.
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	items := []item{{"a", said(string(noise))}, {"b", said("x")}}
	keep := func(text string) string { return text }
	for after := range []int{0, 1, 2} {
		if err := write(context.Background(), &broken{after * 300}, "f", time.Now(), keep, slices.Clone(items)); err == nil {
			t.Errorf("no error after %d bytes", after*300)
		}
	}
}
