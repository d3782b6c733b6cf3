package certs

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/nodeidentity"
)

func ensured(t *testing.T, cfg *config.Config) []string {
	t.Helper()
	made, err := EnsureCluster(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func cluster(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.AdvertiseAddress = t.TempDir(), "192.0.2.7"
	return cfg
}

func TestMadeOnceAndReused(t *testing.T) {
	cfg := cluster(t)
	if made := ensured(t, cfg); len(made) != 13 {
		t.Errorf("made %v", made)
	}
	if made := ensured(t, cfg); len(made) != 0 {
		t.Errorf("made again: %v", made)
	}
	for name, want := range map[string]os.FileMode{
		Cluster(cfg).Key(ServerCA): 0o600, Cluster(cfg).Key(ServiceAccount): 0o600, cfg.TLSDir(): 0o700 | os.ModeDir,
	} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestAuthoritiesAreSeparate(t *testing.T) {
	cfg := cluster(t)
	ensured(t, cfg)
	store := Cluster(cfg)
	serverCA, _ := store.load(ServerCA)
	for name, signed := range map[string]bool{APIServer: true, Admin: false, Proxy: false} {
		leaf, err := store.load(name)
		if err != nil {
			t.Fatal(err)
		}
		if (leaf.cert.CheckSignatureFrom(serverCA.cert) == nil) != signed {
			t.Errorf("%s: signed by the server CA must be %v", name, signed)
		}
		if _, ok := leaf.cert.PublicKey.(*ecdsa.PublicKey); !ok {
			t.Errorf("%s: not ECDSA", name)
		}
	}
}

func TestServingCertificateFollowsNames(t *testing.T) {
	cfg := cluster(t)
	ensured(t, cfg)
	cfg.TLSSANs = []string{"api.example.org", "203.0.113.9", "localhost"}
	cfg.BindAddress = "192.0.2.9"
	if made := ensured(t, cfg); !slices.Equal(made, []string{APIServer}) {
		t.Fatalf("made %v", made)
	}
	leaf, _ := Cluster(cfg).load(APIServer)
	for _, name := range []string{"api.example.org", "203.0.113.9", "192.0.2.7", "192.0.2.9", "10.43.0.1", "kubernetes.default.svc"} {
		if err := leaf.cert.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
}

func TestRenewal(t *testing.T) {
	cfg := cluster(t)
	ensured(t, cfg)
	store := Cluster(cfg)
	leaves := []Leaf{{Name: Scheduler, CA: ClientCA, CommonName: "system:kube-scheduler"}}
	for days, want := range map[int]int{270: 0, 280: 1} {
		store.Now = func() time.Time { return time.Now().Add(time.Duration(days) * 24 * time.Hour) }
		made, err := store.Ensure([]string{ClientCA}, leaves)
		if err != nil || len(made) != want {
			t.Errorf("after %d days: made %v, %v", days, made, err)
		}
		store.Now = time.Now
		os.Remove(store.Cert(Scheduler))
		if _, err := store.Ensure([]string{ClientCA}, leaves); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsNotReplaced(t *testing.T) {
	for _, tc := range []struct {
		name   string
		damage func(*testing.T, Store)
		want   string
	}{
		{"damaged CA", func(t *testing.T, s Store) { write(t, s.Cert(ClientCA), "nonsense") }, "not a PEM file"},
		{"damaged CA key", func(t *testing.T, s Store) {
			write(t, s.Key(ClientCA), "-----BEGIN X-----\nAAAA\n-----END X-----\n")
		}, "client-ca.key"},
		{"CA without key", func(t *testing.T, s Store) { os.Remove(s.Key(ClientCA)) }, "no such file"},
		{"mixed CA", func(t *testing.T, s Store) { copyFile(t, s.Key(ServerCA), s.Key(ClientCA)) }, "do not belong together"},
		{"leaf as CA", func(t *testing.T, s Store) {
			copyFile(t, s.Key(Admin), s.Key(ClientCA))
			copyFile(t, s.Cert(Admin), s.Cert(ClientCA))
		}, "holds no authority"},
		{"service-account key", func(t *testing.T, s Store) { write(t, s.Key(ServiceAccount), "x") }, "service-account.key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := cluster(t)
			ensured(t, cfg)
			tc.damage(t, Cluster(cfg))
			if _, err := EnsureCluster(cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestAuthorityWithoutCertificateKeepsItsKey(t *testing.T) {
	cfg := cluster(t)
	ensured(t, cfg)
	if err := os.Remove(Cluster(cfg).Cert(ClientCA)); err != nil {
		t.Fatal(err)
	}
	if made := ensured(t, cfg); !slices.Equal(made, []string{ClientCA}) {
		t.Errorf("made %v, want the authority alone: what its key signed is still good", made)
	}
}

func TestExpiredAuthority(t *testing.T) {
	cfg := cluster(t)
	ensured(t, cfg)
	store := Cluster(cfg)
	store.Now = func() time.Time { return time.Now().AddDate(11, 0, 0) }
	if _, err := store.Ensure([]string{ClientCA}, nil); err == nil || !strings.Contains(err.Error(), "expired on") {
		t.Errorf("got %v", err)
	}
}

func TestDamagedLeafIsMadeAnew(t *testing.T) {
	cfg := cluster(t)
	ensured(t, cfg)
	write(t, Cluster(cfg).Cert(Admin), "nonsense")
	if made := ensured(t, cfg); !slices.Equal(made, []string{Admin}) {
		t.Errorf("made %v", made)
	}
}

func TestErrors(t *testing.T) {
	store := Store{Dir: t.TempDir(), Now: time.Now}
	if _, err := store.Ensure(nil, []Leaf{{Name: "x", CA: "unknown"}}); err == nil || !strings.Contains(err.Error(), `unknown authority "unknown"`) {
		t.Errorf("got %v", err)
	}
	file := store.Cert("file")
	write(t, file, "")
	store.Dir = file
	if _, err := store.Ensure(nil, nil); err == nil {
		t.Error("no error for a file as directory")
	}
	if err := store.EnsureKey("x"); err == nil {
		t.Error("no error for a file as directory")
	}
	cfg := cluster(t)
	cfg.ServiceCIDR = "nonsense"
	if _, err := EnsureCluster(cfg); err == nil {
		t.Error("no error for a wrong range")
	}
}

func TestLossesNameWhatIsGone(t *testing.T) {
	cfg := cluster(t)
	ensured(t, cfg)
	if got := Losses(cfg); len(got) != 0 {
		t.Errorf("got %q for a whole cluster", got)
	}
	for name, want := range map[string]string{
		ClientCA: "certificate of the old one", ServerCA: "refuse the API server",
		RequestHeaderCA: "extension API servers", ServiceAccount: "tokens of service accounts",
	} {
		if err := os.Remove(Cluster(cfg).Key(name)); err != nil {
			t.Fatal(err)
		}
		got := Losses(cfg)
		if len(got) != 1 || !strings.Contains(got[0], name+".key") || !strings.Contains(got[0], want) {
			t.Errorf("%s: got %q, want one with %q", name, got, want)
		}
		copyFile(t, Cluster(cfg).Key(Admin), Cluster(cfg).Key(name))
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, string(data))
}

// Each start has a credential of its own, which soon ends.
func TestNodeBootstrapIsFreshAndShort(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir, cfg.NodeName = t.TempDir(), "one"
	if err := IssueNodeBootstrap(cfg); err == nil || !strings.Contains(err.Error(), "client-node-bootstrap") {
		t.Errorf("without an authority: %v", err)
	}
	if _, err := EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	serials := map[string]bool{}
	for range 2 {
		if err := IssueNodeBootstrap(cfg); err != nil {
			t.Fatal(err)
		}
		made, err := Cluster(cfg).load(NodeBootstrap)
		if err != nil {
			t.Fatal(err)
		}
		serials[made.cert.SerialNumber.String()] = true
		if made.cert.Subject.CommonName != nodeidentity.BootstrapUser("one") || time.Until(made.cert.NotAfter) > nodeBootstrapLife {
			t.Errorf("got %v until %s", made.cert.Subject, made.cert.NotAfter)
		}
	}
	if len(serials) != 2 {
		t.Error("the same one twice")
	}
}

func TestRequestIsSignedAsAsked(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	if _, err := EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"a"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := Cluster(cfg).SignRequest(ServerCA, csr, x509.ExtKeyUsageServerAuth, 100*365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(chain)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || cert.VerifyHostname("a") != nil || time.Until(cert.NotAfter) > leafLife || cert.KeyUsage&x509.KeyUsageKeyEncipherment == 0 {
		t.Errorf("got %+v, %v", cert, err)
	}
	if _, err := Cluster(cfg).SignRequest("none", csr, x509.ExtKeyUsageServerAuth, 0); err == nil {
		t.Error("signs without an authority")
	}
	csr.Signature[0] ^= 1
	if _, err := Cluster(cfg).SignRequest(ServerCA, csr, x509.ExtKeyUsageServerAuth, 0); err == nil {
		t.Error("signs a request of somebody without the key")
	}
}
