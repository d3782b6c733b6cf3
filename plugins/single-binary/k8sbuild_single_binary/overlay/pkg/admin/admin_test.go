package admin

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/config"
)

// server answers the administrator of the cluster alone.
func server(t *testing.T, cfg *config.Config) *httptest.Server {
	t.Helper()
	store := certs.Cluster(cfg)
	pair, err := tls.LoadX509KeyPair(store.Cert(certs.APIServer), store.Key(certs.APIServer))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(store.Cert(certs.ClientCA))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(r.TLS.PeerCertificates[0].Subject.CommonName))
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func complete(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.DisableAgent, cfg.AdvertiseAddress = t.TempDir(), true, "127.0.0.1"
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestAsksAsTheAdministrator(t *testing.T) {
	cfg := complete(t)
	if _, err := certs.EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	s := server(t, cfg)
	client, err := Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := Get(t.Context(), client, s.URL+"/readyz"); err != nil || !strings.Contains(string(who), "admin") {
		t.Errorf("got %s, %v", who, err)
	}
	if text, err := Get(t.Context(), client, s.URL+"/livez"); err == nil || !strings.HasSuffix(err.Error(), "/livez answers 503 Service Unavailable") || len(text) == 0 {
		t.Errorf("got %s, %v", text, err)
	}
	s.Close()
	for _, url := range []string{s.URL, "://"} {
		if _, err := Get(t.Context(), client, url); err == nil {
			t.Errorf("%s answers", url)
		}
	}
}

func TestServerThatNeverStartedHasNoAdministrator(t *testing.T) {
	cfg := complete(t)
	if _, err := Client(cfg); err == nil || !strings.HasPrefix(err.Error(), "read server CA: ") {
		t.Errorf("got %v", err)
	}
	if _, err := certs.EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(certs.Cluster(cfg).Key(certs.Admin)); err != nil {
		t.Fatal(err)
	}
	if _, err := Client(cfg); err == nil || !strings.HasPrefix(err.Error(), "read admin certificate: ") {
		t.Errorf("got %v", err)
	}
}
