package shared

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/util/cert"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/configz"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/pkg/features"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/config"
)

func TestSelfSignedCertificatesAreECDSA(t *testing.T) {
	_, key, err := cert.GenerateSelfSignedCertKey("apiserver-loopback-client", nil, nil)
	if err != nil || !strings.Contains(string(key), "BEGIN EC PRIVATE KEY") {
		t.Errorf("got %v, %.30q", err, key)
	}
}

func TestFeatureGatesAreSetOnceForAll(t *testing.T) {
	if err := SetFeatureGates("InPlacePodVerticalScaling=true"); err != nil {
		t.Fatal(err)
	}
	if !utilfeature.DefaultFeatureGate.Enabled(features.InPlacePodVerticalScaling) {
		t.Error("the gate is off")
	}
	if err := SetFeatureGates(""); err != nil {
		t.Error(err)
	}
	// Last, since the registry keeps a wrong name and the process would end.
	if err := SetFeatureGates("Nonsense=true"); err == nil || !strings.Contains(err.Error(), "--feature-gates=Nonsense=true") {
		t.Errorf("got %v", err)
	}
}

func TestParseNamesTheComponent(t *testing.T) {
	err := Parse("kube-x", cliflag.NamedFlagSets{}, []string{"--nonsense"})
	if err == nil || !strings.Contains(err.Error(), "--kube-x-arg: ") {
		t.Errorf("got %v", err)
	}
}

func TestFlagsAreMadeForTheUsersArgumentsAlone(t *testing.T) {
	cfg, broken := config.Default(), errors.New("no flags")
	flags := func() (cliflag.NamedFlagSets, error) { return cliflag.NamedFlagSets{}, broken }
	if err := CheckExtra(cfg, "kube-x", flags); err != nil {
		t.Error(err)
	}
	cfg.ExtraArgs["kube-x"] = []string{"nope=1"}
	if err := CheckExtra(cfg, "kube-x", flags); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	broken = nil
	if err := CheckExtra(cfg, "kube-x", flags); err == nil || !strings.Contains(err.Error(), "--kube-x-arg: unknown flag: --nope") {
		t.Errorf("got %v", err)
	}
}

func TestLeaseLost(t *testing.T) {
	if !IsLeaseLost(errors.New(LeaseLost)) || IsLeaseLost(nil) || IsLeaseLost(errors.New("lost the way")) {
		t.Error("wrong errors are taken for a lost lease")
	}
}

func TestListenWaitsForTheTermBefore(t *testing.T) {
	old, err := Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	port := old.Addr().(*net.TCPAddr).Port
	time.AfterFunc(100*time.Millisecond, func() { old.Close() })
	again, err := Listen(t.Context(), port)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := Listen(t.Context(), port); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

// Components apply logging settings of their own, each to the whole process.
func TestLoggingMayBeSetUpAgain(t *testing.T) {
	if err := SetFeatureGates(""); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := logsapi.ValidateAndApply(logsapi.NewLoggingConfiguration(), nil); err != nil {
			t.Error(err)
		}
	}
}

func TestElectedBeginsAnewInAnOrderlyWay(t *testing.T) {
	cfg := config.Default()
	l, err := Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	terms := 0
	r := Elected(cfg, "kube-x", "x", port, func(_ context.Context, l net.Listener) error {
		defer l.Close()
		// Each term may use the name and the port of the one before.
		if _, err := configz.New("x"); err != nil {
			t.Error(err)
		}
		if terms++; terms < 3 {
			return errors.New(LeaseLost)
		}
		return errors.New("another error")
	})
	if err := r.Run(t.Context()); err == nil || err.Error() != "another error" || terms != 3 {
		t.Errorf("got %v after %d terms", err, terms)
	}
	if r.Abandon != AbandonAfter || r.Name() != "kube-x" {
		t.Errorf("got %+v", r)
	}
	taken, err := Listen(t.Context(), port)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

func TestHealth(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir, cfg.DisableAgent = t.TempDir(), true
	if err := Runner(cfg, "early", "https://127.0.0.1:1/", nil).Ready(t.Context()); err == nil {
		t.Error("ready without certificates")
	}
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	status := http.StatusInternalServerError
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	s.TLS = serving(t, cfg)
	s.StartTLS()
	defer s.Close()
	r := Runner(cfg, "x", s.URL+"/healthz", func(ctx context.Context) error { <-ctx.Done(); return nil })
	if err := r.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "/healthz answers 500") {
		t.Errorf("got %v", err)
	}
	status = http.StatusOK
	if err := r.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func serving(t *testing.T, cfg *config.Config) *tls.Config {
	t.Helper()
	store := certs.Cluster(cfg)
	pair, err := tls.LoadX509KeyPair(store.Cert(certs.APIServer), store.Key(certs.APIServer))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}
