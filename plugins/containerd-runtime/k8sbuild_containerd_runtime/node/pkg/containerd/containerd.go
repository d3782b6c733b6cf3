// Package containerd is the container runtime of the node: containerd, runc and
// CNI plugins, which lie beside this program, with containerd as a supervised
// child.
//
// Pods outlive the server. Their processes are children of containerd's shims,
// which neither end of ours nor of containerd touches. A containerd that
// survived a killed server is adopted if it is what we would start now, else
// replaced.
package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/inspect"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name in logs and errors.
const Name = "containerd"

// programs are what must lie in the folder of the runtime.
var programs = []string{"containerd", "containerd-shim-runc-v2", "runc"}

// maxSocketPath is the length of sun_path without its closing NUL.
const maxSocketPath = 107

// Register makes containerd the container runtime of this process.
func Register() {
	server.Register(server.Component{Name: Name, Role: server.RoleRuntime, New: newService})
	cleanup.Register(Name, clean)
	inspect.Register(inspect.Part{
		Files:   map[string]string{"containerd.toml": "containerd/config.toml"},
		Large:   []string{"containerd/root"},
		Passing: []string{"containerd/state"},
	})
}

func newService(cfg *config.Config) (service.Service, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	libexec, err := find(executable)
	if err != nil {
		return nil, err
	}
	r, err := New(cfg.Path("containerd"), libexec)
	if err == nil {
		r.layout.usersNetwork = cfg.Network == config.NoNetwork
	}
	return r, err
}

// find is the folder of the runtime's programs: beside this program, as they
// are in the archive, or beside the folder bin that it is installed in.
func find(executable string) (string, error) {
	real, err := filepath.EvalSymlinks(executable)
	if err != nil {
		return "", fmt.Errorf("find the container runtime: %w", err)
	}
	beside := filepath.Join(filepath.Dir(real), "libexec", "k8s")
	for _, dir := range []string{beside, filepath.Join(filepath.Dir(real), "..", "libexec", "k8s")} {
		if _, err := os.Stat(filepath.Join(dir, programs[0])); err == nil {
			return filepath.Clean(dir), nil
		}
	}
	return "", fmt.Errorf("no container runtime in %s; unpack the whole archive there, "+
		"or give the socket of another runtime with --container-runtime-endpoint", beside)
}

// Runtime is the runtime component.
type Runtime struct {
	layout layout
	conn   *grpc.ClientConn
	failed chan error

	stop context.CancelFunc
	done chan struct{}

	mu  sync.Mutex
	now *process // nil while none runs
}

var _ server.Runtime = (*Runtime)(nil)

// New makes the runtime with its files below dir and its programs in libexec.
func New(dir, libexec string) (*Runtime, error) {
	for _, name := range programs {
		if _, err := os.Stat(filepath.Join(libexec, name)); err != nil {
			return nil, fmt.Errorf("the container runtime is incomplete: %w", err)
		}
	}
	l := layout{dir: dir, libexec: libexec}
	// containerd makes a second one, with a longer name.
	if longest := l.socket() + ".ttrpc"; len(longest) > maxSocketPath {
		return nil, fmt.Errorf("--data-dir: too long for the socket %s, a path may have %d bytes", longest, maxSocketPath)
	}
	conn, err := grpc.NewClient("unix:"+l.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("make a client of the container runtime: %w", err)
	}
	return &Runtime{layout: l, conn: conn, failed: make(chan error, 1), done: make(chan struct{})}, nil
}

// Name implements service.Service.
func (r *Runtime) Name() string { return Name }

// Failed implements service.Service.
func (r *Runtime) Failed() <-chan error { return r.failed }

// Endpoint is the URL of containerd's socket.
func (r *Runtime) Endpoint() string { return "unix://" + r.layout.socket() }

// Start adopts or starts containerd, and keeps it running until Stop.
func (r *Runtime) Start(ctx context.Context) error {
	if err := os.MkdirAll(r.layout.dir, 0o700); err != nil {
		return fmt.Errorf("make containerd's directory: %w", err)
	}
	text := r.layout.config(machine(r.layout.dir))
	running, err := r.layout.survivor(text)
	if err != nil {
		return err
	}
	if running == nil {
		if running, err = r.layout.start(text); err != nil {
			return err
		}
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.set(running)
	go r.supervise(ctx, running, text)
	return nil
}

// Limits of supervision: a containerd that ends again and again so soon will
// not be better for another try.
const (
	soon     = 10 * time.Second
	attempts = 5
	pause    = 500 * time.Millisecond
)

// supervise starts containerd again whenever it ends. Pods run on meanwhile.
func (r *Runtime) supervise(ctx context.Context, running *process, config string) {
	defer close(r.done)
	for failures := 0; ; {
		begin := time.Now()
		ended, how := running.wait(ctx)
		if !ended {
			return
		}
		r.set(nil)
		if failures++; time.Since(begin) > soon {
			failures = 1
		}
		klog.ErrorS(how, "The container runtime ended, starting it again", "pid", running.pid, "attempt", failures)
		next, err := r.again(ctx, failures, config)
		if err != nil {
			r.failed <- err
			return
		}
		r.set(next)
		running = next
	}
}

func (r *Runtime) again(ctx context.Context, failures int, config string) (*process, error) {
	if failures >= attempts {
		return nil, fmt.Errorf("containerd ended %d times soon after its start, see its log lines", failures)
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return r.layout.start(config)
}

func (r *Runtime) set(running *process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = running
}

func (r *Runtime) running() *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// Ready asks containerd what the kubelet will ask it first.
func (r *Runtime) Ready(ctx context.Context) error {
	if r.running() == nil {
		return errors.New("containerd does not run")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := cri.NewRuntimeServiceClient(r.conn).Version(ctx, &cri.VersionRequest{}); err != nil {
		return fmt.Errorf("ask containerd for its version: %w", err)
	}
	return nil
}

// Stop ends containerd; containers and their shims run on.
func (r *Runtime) Stop(ctx context.Context) error {
	if r.stop == nil {
		return nil
	}
	r.stop()
	select {
	case <-r.done:
	case <-ctx.Done():
		return fmt.Errorf("stop supervision: %w", ctx.Err())
	}
	if running := r.running(); running != nil {
		if err := running.end(ctx); err != nil {
			return err
		}
	}
	r.set(nil)
	r.stop = nil
	return r.conn.Close()
}
