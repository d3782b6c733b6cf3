package apiserver

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
)

func TestArguments(t *testing.T) {
	componenttest.WantOwnCertificate(t, Args, certs.APIServer)
	componenttest.WantArguments(t, Args, map[config.Mode][]string{
		config.Single: {"--anonymous-auth=false", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--etcd-servers=unix:///a.sock"},
		config.HA:     {"--etcd-cafile=/ca.crt"},
	})
	if slices.ContainsFunc(Args(componenttest.Configuration(t, config.Single)), func(arg string) bool {
		return strings.HasPrefix(arg, "--token-auth-file") || strings.HasPrefix(arg, "--enable-bootstrap-token-auth")
	}) {
		t.Error("there are other ways to authenticate than certificates and service accounts")
	}
}

// Twice, since the components of this process make their options more than once.
func TestUpstreamKnowsEveryArgument(t *testing.T) {
	for range 2 {
		if err := shared.Parse(Name, options.NewServerRunOptions().Flags(), Args(componenttest.Configuration(t, config.HA))); err != nil {
			t.Error(err)
		}
	}
}

func TestUnknownArgumentIsRefusedBeforeTheStart(t *testing.T) {
	componenttest.WantKnownArguments(t, componenttest.Configuration(t, config.Single), Name, New)
}

func TestRunWithoutCertificatesFailsInOneError(t *testing.T) {
	Register()
	componenttest.WantNoRun(t, Name, New)
}

func TestLoopbackIsNoEndpoint(t *testing.T) {
	cfg := componenttest.Configuration(t, config.Single)
	cfg.AdvertiseAddress = "127.0.0.1"
	if !slices.Contains(Args(cfg), "--endpoint-reconciler-type=none") {
		t.Error("a loopback address would be written into an Endpoints object, which refuses it")
	}
}

// withCertificates is a configuration with which the server can run.
func withCertificates(t *testing.T) *config.Config {
	t.Helper()
	cfg := componenttest.Configuration(t, config.Single)
	cfg.BindAddress = "127.0.0.1"
	if _, err := certs.EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestWrongOptionsAreOneError(t *testing.T) {
	cfg := withCertificates(t)
	cfg.ServiceCIDR = "10.0.0.0/8"
	if err := run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "--service-cluster-ip-range") {
		t.Errorf("got %v", err)
	}
}

func TestNothingIsMadeOfWhatFailed(t *testing.T) {
	double := func(n int) (int, error) { return 2 * n, nil }
	if got, err := then(21, nil, double); got != 42 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	failed := errors.New("no number")
	if got, err := then(21, failed, double); got != 0 || !errors.Is(err, failed) {
		t.Errorf("got %d, %v", got, err)
	}
}

// Without a storage that answers, making the server alone would take 20 s and end the process.
func TestStopBeforeServing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, withCertificates(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A storage that takes connections and says nothing holds the making up for 20 s.
func TestStopWhileTheStorageIsSilent(t *testing.T) {
	cfg := componenttest.Configuration(t, config.HA)
	cfg.EtcdCAFile = ""
	if _, err := certs.EnsureCluster(cfg); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	cfg.StorageEndpoints = func() []string { return []string{"http://" + silent.Addr().String()} }
	cfg.BindAddress = "127.0.0.1"
	// What is abandoned wants to end the process when it has waited long enough.
	klog.OsExit = func(int) { select {} }
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if conn, err := silent.Accept(); err == nil {
			defer conn.Close()
			// The first to ask only wants to know etcd's version.
			time.AfterFunc(time.Second, cancel)
			<-t.Context().Done()
		}
	}()
	begin := time.Now()
	if err := run(ctx, cfg); !errors.Is(err, context.Canceled) || time.Since(begin) > 10*time.Second {
		t.Errorf("got %v after %s", err, time.Since(begin))
	}
}

func TestMadeBeforeTheEnd(t *testing.T) {
	failed := errors.New("no number")
	if got, err := unlessOver(t.Context(), func() (int, error) { return 42, failed }); got != 42 || !errors.Is(err, failed) {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestSilentStorageIsNamed(t *testing.T) {
	cfg := componenttest.Configuration(t, config.Single)
	got := silence(context.DeadlineExceeded, cfg)
	if got.Error() != "no answer from the storage at unix:///a.sock: context deadline exceeded" {
		t.Errorf("got %v", got)
	}
	if other := errors.New("other"); silence(other, cfg) != other || silence(nil, cfg) != nil {
		t.Error("another error became a time-out")
	}
}

func TestPortInUse(t *testing.T) {
	cfg := withCertificates(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg.HTTPSListenPort = taken.Addr().(*net.TCPAddr).Port
	if err := run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}
