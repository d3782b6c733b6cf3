package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/features"
	podresources "k8s.io/kubernetes/pkg/kubelet/apis/podresources"
	kubeletserver "k8s.io/kubernetes/pkg/kubelet/server"

	"k8sbuild.dev/distribution/pkg/components/apiserver"
	"k8sbuild.dev/distribution/pkg/components/certificates"
	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/components/controllermanager"
	"k8sbuild.dev/distribution/pkg/components/scheduler"
	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/lock"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

func configuration(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.DisableAgent = t.TempDir(), true
	cfg.HTTPSListenPort, cfg.ControllerManagerPort, cfg.SchedulerPort =
		componenttest.FreePort(t), componenttest.FreePort(t), componenttest.FreePort(t)
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// fakes are the components of a server without storage. The process's registry
// has them once; the tests change what the scheduler does.
type fakes struct {
	mu        sync.Mutex
	stopped   []string
	scheduler func(context.Context) error
}

var fake = sync.OnceValue(func() *fakes {
	f := &fakes{}
	certificates.Register()
	for name, role := range map[string]server.Role{
		"apiserver": server.RoleAPIServer, "manager": server.RoleControllerManager, "scheduler": server.RoleScheduler,
	} {
		server.Register(server.Component{Name: name, Role: role, New: func(*config.Config) (service.Service, error) {
			return &service.Runner{
				Component: name,
				Run:       func(ctx context.Context) error { return f.run(ctx, name) },
				IsReady:   func(context.Context) error { return nil },
			}, nil
		}})
	}
	return f
})

func (f *fakes) run(ctx context.Context, name string) error {
	if name == "scheduler" && f.scheduler != nil {
		if err := f.scheduler(ctx); err != nil {
			return err
		}
	}
	<-ctx.Done()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = append(f.stopped, name)
	return nil
}

// serveFakes runs the whole server in this process, with fakes for components,
// and does as systemd does: it gets the server's messages.
func serveFakes(t *testing.T, scheduler func(context.Context) error) (result chan error, messages func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "n")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	cfg := configuration(t)
	cfg.ServerMode = config.HA
	f, osExit, exit := fake(), klog.OsExit, logrus.StandardLogger().ExitFunc
	f.stopped, f.scheduler = nil, scheduler
	t.Cleanup(func() { klog.OsExit, logrus.StandardLogger().ExitFunc = osExit, exit })
	result = make(chan error, 1)
	go func() { result <- serve(cfg, []string{"K8S_NONSENSE"}) }()
	return result, func() string {
		text := make([]byte, 64)
		_ = socket.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := socket.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(text[:n])
	}
}

func TestSignalStopsInOrder(t *testing.T) {
	result, message := serveFakes(t, nil)
	if got := message(); got != "READY=1" {
		t.Errorf("got %q", got)
	}
	if got := os.Getenv("NOTIFY_SOCKET"); got != "" {
		t.Errorf("components see %q", got)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
	if got := message(); got != "STOPPING=1" {
		t.Errorf("got %q", got)
	}
	if got := fake().stopped; !slices.Equal(got, []string{"scheduler", "manager", "apiserver"}) {
		t.Errorf("stopped %v", got)
	}
}

// Whatever way code takes to end the process, it is the failure of the
// component that calls it, and the others stop in order.
func TestExitIsTheFailureOfTheComponentThatCallsIt(t *testing.T) {
	for name, exit := range map[string]func(){
		"klog":   func() { klog.FlushAndExit(klog.ExitFlushTimeout, 3) },
		"fatal":  func() { klog.Fatal("no way") },
		"logrus": func() { logrus.Fatal("no way") },
		"the kubelet's server": func() {
			kubeletserver.ListenAndServePodResources("nonsense://", podresources.PodResourcesProviders{})
		},
	} {
		result, _ := serveFakes(t, func(context.Context) error {
			go func() {
				exit()
				t.Errorf("%s: goes on", name)
			}()
			return nil
		})
		err := <-result
		if err == nil || !strings.HasPrefix(err.Error(), "scheduler: asked for the end of the process with code ") {
			t.Errorf("%s: got %v", name, err)
		}
		if got := fake().stopped; len(got) == 0 || got[len(got)-1] != "apiserver" {
			t.Errorf("%s: stopped %v", name, got)
		}
	}
}

// Each component adds the flags of the one registry to its own options, which
// forgets what was set through the flags of the one before.
func TestFeatureGatesOutliveTheOptionsOfAllComponents(t *testing.T) {
	if err := shared.SetFeatureGates("InPlacePodVerticalScaling=true"); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(*config.Config) (service.Service, error){
		"kube-apiserver": apiserver.New, "kube-controller-manager": controllermanager.New, "kube-scheduler": scheduler.New,
	} {
		s, err := make(componenttest.Configuration(t, config.Single))
		if err != nil {
			t.Fatal(err)
		}
		// Without certificates it ends when its options are complete.
		if err := s.(*service.Runner).Run(t.Context()); err == nil {
			t.Errorf("%s runs without certificates", name)
		}
		if !utilfeature.DefaultFeatureGate.Enabled(features.InPlacePodVerticalScaling) {
			t.Errorf("%s switched the gate off", name)
		}
	}
}

func TestFailureIsTheServersError(t *testing.T) {
	result, _ := serveFakes(t, func(context.Context) error { return errors.New("no node") })
	if err := <-result; err == nil || err.Error() != "scheduler: no node" {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsWrongBeforeTheStartIsOneError(t *testing.T) {
	fake()
	held := configuration(t)
	held.ServerMode = config.HA
	lock, err := lock.Acquire(held.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	noFolder := configuration(t)
	noFolder.ServerMode, noFolder.DataDir = config.HA, filepath.Join(held.DataDir, "lock", "below-a-file")
	if err := os.WriteFile(filepath.Dir(noFolder.DataDir), nil, 0o600); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	for want, cfg := range map[string]*config.Config{"in use by another server": held, "not a directory; give another directory with --data-dir": noFolder} {
		if err := serve(cfg, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

type storage struct{ service.Runner }

func (*storage) Endpoints() []string { return []string{"unix:///the.sock"} }

func TestStorageGivesTheEndpoints(t *testing.T) {
	cfg := configuration(t)
	made := func(*config.Config) (service.Service, error) {
		return &storage{service.Runner{Component: "s", Run: func(context.Context) error { return nil }}}, nil
	}
	services, err := makeServices(cfg, []server.Component{{Name: "s", Role: server.RoleStorage, New: made}})
	if err != nil || len(services) != 1 {
		t.Fatal(services, err)
	}
	if got := cfg.StorageEndpoints(); len(got) != 1 || got[0] != "unix:///the.sock" {
		t.Errorf("got %v", got)
	}
	if err := services[0].Start(t.Context()); err != nil {
		t.Error(err)
	}
	broken := func(*config.Config) (service.Service, error) { return nil, errors.New("no") }
	if _, err := makeServices(cfg, []server.Component{{Name: "b", New: broken}}); err == nil || err.Error() != "b: no" {
		t.Errorf("got %v", err)
	}
}

type runtime struct{ service.Runner }

func (*runtime) Endpoint() string { return "unix:///the.sock" }

func TestRuntimeGivesTheEndpoint(t *testing.T) {
	cfg := configuration(t)
	made := func(*config.Config) (service.Service, error) { return &runtime{}, nil }
	if _, err := makeServices(cfg, []server.Component{{Name: "r", Role: server.RoleRuntime, New: made}}); err != nil {
		t.Fatal(err)
	}
	if got := cfg.RuntimeEndpoint(); got != "unix:///the.sock" {
		t.Errorf("got %q", got)
	}
}

func TestUsersGCIsLeftAlone(t *testing.T) {
	t.Setenv("GOGC", "70")
	before := debug.SetGCPercent(70)
	settle(context.Background())
	if got := debug.SetGCPercent(before); got != 70 {
		t.Errorf("collects at %d%%, not at 70%% as the user asked for", got)
	}
}

func TestDrainGetsTimeOfTheServiceManager(t *testing.T) {
	cfg := config.Default()
	if got := stopping(cfg); got != "STOPPING=1" {
		t.Errorf("got %q", got)
	}
	cfg.DrainOnStop = time.Minute
	if got := stopping(cfg); got != "STOPPING=1\nEXTEND_TIMEOUT_USEC=75000000" {
		t.Errorf("got %q", got)
	}
}
