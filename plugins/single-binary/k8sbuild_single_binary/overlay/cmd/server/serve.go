package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/drain"
	"k8sbuild.dev/distribution/pkg/host"
	"k8sbuild.dev/distribution/pkg/lock"
	"k8sbuild.dev/distribution/pkg/logs"
	"k8sbuild.dev/distribution/pkg/memory"
	"k8sbuild.dev/distribution/pkg/notify"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
	"k8sbuild.dev/distribution/pkg/version"
)

// stopLimit is more than the stop of all components takes.
const stopLimit = 15 * time.Second

// settled is when the memory of the start goes back to the system: components
// are ready before controllers have filled their caches, on a small machine
// minutes before.
var settled = memory.Rest{Interval: 8 * time.Second, Share: 0.1, Longest: 5 * time.Minute}

// rested is when that of a later burst goes back, which has taken so much of a
// processor: by then, the API server has forgotten the burst's history.
var (
	rested = memory.Rest{Interval: 100 * time.Second, Share: 0.1, Longest: 24 * time.Hour}
	burst  = memory.Work{Interval: time.Minute, Time: time.Minute}
)

// serve runs the server until it is told to stop or a component fails.
func serve(cfg *config.Config, unknownEnv []string) error {
	cfg.Began = time.Now()
	notifier, err := notify.Take()
	if err != nil {
		return err
	}
	components, err := server.Components(cfg)
	if err != nil {
		return err
	}
	if !cfg.DisableAgent && os.Geteuid() != 0 {
		return host.ErrNotRoot
	}
	if err := shared.SetFeatureGates(cfg.FeatureGates); err != nil {
		return err
	}
	if err := thisMachine(cfg).Refusal(); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	held, err := lock.Acquire(cfg.DataDir)
	if err != nil {
		return err
	}
	defer held.Release()
	if err := logs.Setup(os.Stderr, cfg.Verbosity); err != nil {
		return err
	}
	klog.InfoS("Starting", "version", version.GitVersion, "mode", cfg.ServerMode, "dataDir", cfg.DataDir)
	for _, name := range unknownEnv {
		klog.InfoS("Environment variable sets no flag", "name", name)
	}
	if !cfg.DisableAgent {
		if err := prepareHost(); err != nil {
			return err
		}
	}
	return run(cfg, components, notifier)
}

// prepareHost comes before any component reads what it changes.
func prepareHost() error {
	remarks, err := host.Prepare(host.MachineCgroups(), host.OOMFile)
	for _, remark := range remarks {
		klog.InfoS("Prepared the machine for the node", "what", remark)
	}
	return err
}

// sinceStart is how long ago the server began: each phase of the start says it.
func sinceStart(cfg *config.Config) time.Duration {
	return time.Since(cfg.Began).Round(time.Millisecond)
}

func run(cfg *config.Config, components []server.Component, notifier notify.Notifier) error {
	services, err := makeServices(cfg, components)
	if err != nil {
		return err
	}
	ctx, stop := signalContext()
	defer stop()
	manager := manage(ctx, cfg, services, notifier)
	defer context.AfterFunc(ctx, func() {
		klog.InfoS("Stopping")
		_ = notifier.Send(stopping(cfg))
	})()
	holdExits(manager)
	err = manager.Run(ctx, services)
	klog.Flush()
	return err
}

// manage makes the manager of the services, which says what goes on.
func manage(ctx context.Context, cfg *config.Config, services []service.Service, notifier notify.Notifier) *service.Manager {
	alive := func(ctx context.Context) error { return service.Alive(ctx, services) }
	manager := service.NewManager()
	manager.Observe = func(name, event string, took time.Duration) {
		klog.InfoS("Component "+event, "component", name, "took", took.Round(time.Millisecond), "sinceStart", sinceStart(cfg))
	}
	manager.OnReady = func() {
		klog.InfoS("All components are ready", "sinceStart", sinceStart(cfg))
		if err := notifier.Send("READY=1"); err != nil {
			klog.ErrorS(err, "Cannot report readiness")
		}
		go settle(ctx)
		go drain.After(ctx, cfg)
		go notifier.Watch(ctx, alive, func(err error) { klog.ErrorS(err, "No sign of life goes to the service manager") })
	}
	manager.BeforeStop = func() { drain.Before(context.WithoutCancel(ctx), cfg) }
	return manager
}

// stopping tells the service manager of the stop, and of more time than it
// gives by itself where pods are to end first.
func stopping(cfg *config.Config) string {
	if cfg.DrainOnStop == 0 {
		return "STOPPING=1"
	}
	return fmt.Sprintf("STOPPING=1\nEXTEND_TIMEOUT_USEC=%d", (cfg.DrainOnStop + stopLimit).Microseconds())
}

func makeServices(cfg *config.Config, components []server.Component) ([]service.Service, error) {
	cfg.StorageEndpoints = func() []string { return cfg.EtcdServers }
	var services []service.Service
	for _, c := range components {
		s, err := c.New(cfg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		if storage, ok := s.(server.Storage); ok && c.Role == server.RoleStorage {
			cfg.StorageEndpoints = storage.Endpoints
		}
		if runtime, ok := s.(server.Runtime); ok && c.Role == server.RoleRuntime {
			cfg.RuntimeEndpoint = runtime.Endpoint
		}
		services = append(services, labelled{s})
	}
	return services, nil
}

// labelled starts a service under its name: the goroutines that it starts
// inherit the label, and so their log lines have it.
type labelled struct{ service.Service }

// Alive is the service's own answer, if it has one.
func (l labelled) Alive(ctx context.Context) error {
	if living, ok := l.Service.(service.Living); ok {
		return living.Alive(ctx)
	}
	return nil
}

func (l labelled) Start(ctx context.Context) (err error) {
	logs.Do(ctx, l.Name(), func(ctx context.Context) { err = l.Service.Start(ctx) })
	return err
}

// signalContext ends at the first SIGTERM or SIGINT; the second one ends the process.
func signalContext() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// holdExits turns a component's wish to end the process into its failure. The
// caller expects that nothing runs after it, so its goroutine never goes on.
func holdExits(manager *service.Manager) {
	klog.OsExit = func(code int) {
		manager.Fail(logs.Component(), fmt.Errorf("asked for the end of the process with code %d, see its last log lines", code))
		select {}
	}
	logrus.StandardLogger().ExitFunc = klog.OsExit
}

// settle saves memory when the server has started, and after each burst of work.
// Go's own setting holds until then: with less frequent collections the start is
// a little sooner, but what stays lies scattered among what does not, and pages
// that are partly in use never go back to the system. The user's own setting is
// left alone.
func settle(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(50)
	for rest := settled; ctx.Err() == nil; rest = rested {
		if err := release(ctx, rest); err != nil {
			klog.ErrorS(err, "Cannot give memory back")
			return
		}
	}
}

// release gives memory back when the process has come to rest, and returns when
// it has worked again.
func release(ctx context.Context, rest memory.Rest) error {
	if err := rest.Await(ctx); err != nil {
		return err
	}
	if err := memory.Release(); err != nil {
		return err
	}
	return burst.Await(ctx)
}
