// Package proxy runs kube-proxy in this process.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-proxy/app"
	"k8s.io/kubernetes/pkg/proxy/metrics"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/host"
	"k8sbuild.dev/distribution/pkg/kubeconfig"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name.
const Name = "kube-proxy"

// healthAddress is on loopback, as all that does not authenticate.
const healthAddress = "127.0.0.1:10256"

// Register adds the component to the server.
func Register() {
	server.Register(server.Component{Name: Name, Role: server.RoleProxy, New: New})
	cleanup.Register(Name, clean)
}

// New makes the component's service. kube-proxy never stops and has nothing to
// lose, so that the process ends without waiting for it. It is ready when
// Services are: a connection that begins before is tracked untranslated, and
// hangs for as long as its client tries.
func New(cfg *config.Config) (service.Service, error) {
	args, err := Args(cfg)
	if err != nil {
		return nil, err
	}
	if _, err := parse(args); err != nil {
		return nil, err
	}
	run := func(ctx context.Context) error { return run(ctx, args, (*app.Options).Run) }
	r := shared.Runner(cfg, Name, "http://"+healthAddress+"/healthz", run)
	r.Abandon = time.Nanosecond
	healthy := r.IsReady
	r.IsReady = func(ctx context.Context) error {
		return errors.Join(healthy(ctx), synced(metrics.SyncProxyRulesLastTimestamp))
	}
	return r, nil
}

// synced says whether rules are there, by kube-proxy's own measure of when it
// last wrote them.
func synced(last interface {
	prometheus.Collector
	IsCreated() bool
}) error {
	if last.IsCreated() {
		found, value := make(chan prometheus.Metric, 1), dto.Metric{}
		last.Collect(found)
		if err := (<-found).Write(&value); err != nil {
			return fmt.Errorf("read when rules were written: %w", err)
		}
		if value.GetGauge().GetValue() > 0 {
			return nil
		}
	}
	return errors.New("no rules are written yet")
}

// parse keeps kube-proxy's flags out of the process's own set.
func parse(args []string) (*app.Options, error) {
	o := app.NewOptions()
	fs := pflag.NewFlagSet(Name, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return nil, fmt.Errorf("--%s-arg: %w", Name, err)
	}
	if err := o.Complete(fs); err != nil {
		return nil, fmt.Errorf("complete options: %w", err)
	}
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("validate options: %w", err)
	}
	return o, nil
}

func run(ctx context.Context, args []string, start func(*app.Options, context.Context) error) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	return start(o, ctx)
}

// Args are the component's arguments.
func Args(cfg *config.Config) ([]string, error) {
	score, err := host.ReadOOMScoreAdj(host.OOMFile)
	if err != nil {
		return nil, err
	}
	args := []string{
		"--kubeconfig=" + kubeconfig.Path(cfg, certs.KubeProxy),
		"--hostname-override=" + cfg.NodeName,
		"--cluster-cidr=" + cfg.ClusterCIDR,
		"--healthz-bind-address=" + healthAddress,
		"--metrics-bind-address=127.0.0.1:10249",
		// What holds already: the process has one score, set by the server.
		"--oom-score-adj=" + strconv.Itoa(score),
	}
	return append(append(args, conntrack(host.ConntrackMax)...), cfg.Extra(Name)...), nil
}

// conntrack leaves the limit of tracked connections alone where it cannot be
// changed, as in a container: kube-proxy would end.
func conntrack(file string) []string {
	err := host.Writable(file)
	if err == nil {
		return nil
	}
	klog.InfoS("The limit of tracked connections stays as it is", "why", err.Error())
	return []string{"--conntrack-max-per-core=0"}
}
