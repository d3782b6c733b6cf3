package kubelet

import (
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/kubernetes/cmd/kubelet/app/options"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/nodeidentity"
)

// identified is a node with certificates as the kubelet keeps them: certificate
// and key in one file, behind a link.
func identified(t *testing.T, user string, life time.Duration) (*config.Config, *options.KubeletServer) {
	t.Helper()
	cfg := componenttest.Node(t)
	if _, err := certs.EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	s, err := settings(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(s.CertDirectory, 0o700); err != nil {
		t.Fatal(err)
	}
	store := certs.Cluster(cfg)
	for purpose, leaf := range map[string]certs.Leaf{
		"client": {Name: "c", CA: certs.ClientCA, CommonName: user, Life: life},
		"server": {Name: "s", CA: certs.ServerCA, CommonName: user, Life: life, SANs: []string{"node"}},
	} {
		if err := store.Issue(leaf); err != nil {
			t.Fatal(err)
		}
		var whole []byte
		for _, path := range []string{store.Cert(leaf.Name), store.Key(leaf.Name)} {
			part, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			whole = append(whole, part...)
		}
		if err := os.WriteFile(current(s, purpose), whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cfg, s
}

func over(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestGoodCertificatesAreKept(t *testing.T) {
	cfg, s := identified(t, nodeidentity.NodeUser("node"), time.Hour)
	if err := identify(over(t), cfg, s); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.KubeConfig)
	if err != nil || !strings.Contains(string(text), current(s, "client")) || !strings.Contains(string(text), cfg.APIServerURL()) {
		t.Errorf("got %s, %v", text, err)
	}
	for _, purpose := range []string{"client", "server"} {
		if _, err := os.Stat(current(s, purpose)); err != nil {
			t.Error(err)
		}
	}
}

// What the API server would not believe makes way for what it believes: upstream
// goes on with it and fails.
func TestBadCertificatesAreForgotten(t *testing.T) {
	for name, spoil := range map[string]func(*testing.T) (*config.Config, *options.KubeletServer){
		"of another node": func(t *testing.T) (*config.Config, *options.KubeletServer) {
			return identified(t, nodeidentity.NodeUser("other"), time.Hour)
		},
		"expired": func(t *testing.T) (*config.Config, *options.KubeletServer) {
			return identified(t, nodeidentity.NodeUser("node"), -time.Minute)
		},
		"of a lost authority": func(t *testing.T) (*config.Config, *options.KubeletServer) {
			cfg, s := identified(t, nodeidentity.NodeUser("node"), time.Hour)
			if err := os.RemoveAll(cfg.TLSDir()); err != nil {
				t.Fatal(err)
			}
			if _, err := certs.EnsureCluster(cfg); err != nil {
				t.Fatal(err)
			}
			return cfg, s
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, s := spoil(t)
			// There is no API server to ask for new ones.
			if err := identify(over(t), cfg, s); err == nil || !strings.Contains(err.Error(), "ask for the node's certificate") {
				t.Errorf("got %v", err)
			}
			for _, path := range []string{current(s, "client"), current(s, "server")} {
				if _, err := os.Stat(path); !os.IsNotExist(err) {
					t.Errorf("%s is still there, %v", filepath.Base(path), err)
				}
			}
		})
	}
}

func TestIdentityThatCannotBeWritten(t *testing.T) {
	cfg, s := identified(t, nodeidentity.NodeUser("node"), time.Hour)
	if err := os.RemoveAll(cfg.TLSDir()); err != nil {
		t.Fatal(err)
	}
	if err := identify(t.Context(), cfg, s); err == nil {
		t.Error("no error without an authority")
	}
	if err := believed(current(s, "client"), "/nonexistent", x509.ExtKeyUsageClientAuth, "node"); err == nil {
		t.Error("believes without an authority")
	}
	full := filepath.Join(t.TempDir(), "full")
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := forget(full, os.ErrInvalid); err == nil {
		t.Error("removes a folder")
	}
}
