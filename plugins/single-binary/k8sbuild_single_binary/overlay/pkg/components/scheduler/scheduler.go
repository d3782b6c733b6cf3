// Package scheduler runs kube-scheduler in this process.
package scheduler

import (
	"context"
	"fmt"
	"net"
	"strconv"

	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/kubernetes/cmd/kube-scheduler/app"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/kubeconfig"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name.
const Name = "kube-scheduler"

// configzName is what kube-scheduler calls its configuration.
const configzName = "componentconfig"

// Register adds the component to the server.
func Register() { server.Register(server.Component{Name: Name, Role: server.RoleScheduler, New: New}) }

// New makes the component's service, which begins anew when it loses its lease.
func New(cfg *config.Config) (service.Service, error) {
	if err := shared.CheckExtra(cfg, Name, flags); err != nil {
		return nil, err
	}
	run := func(ctx context.Context, l net.Listener) error { return run(ctx, cfg, l) }
	return shared.Elected(cfg, Name, configzName, cfg.SchedulerPort, run), nil
}

func flags() (cliflag.NamedFlagSets, error) { return *options.NewOptions().Flags, nil }

func run(ctx context.Context, cfg *config.Config, listener net.Listener) error {
	s := options.NewOptions()
	if err := shared.Parse(Name, *s.Flags, Args(cfg)); err != nil {
		return err
	}
	s.SecureServing.Listener = listener
	c, sched, err := app.Setup(ctx, s)
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	return app.Run(ctx, c, sched)
}

// Args are the component's arguments.
func Args(cfg *config.Config) []string {
	store := certs.Cluster(cfg)
	kubeconfigFile := kubeconfig.Path(cfg, certs.Scheduler)
	return append([]string{
		"--kubeconfig=" + kubeconfigFile,
		"--authentication-kubeconfig=" + kubeconfigFile,
		"--authorization-kubeconfig=" + kubeconfigFile,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(cfg.SchedulerPort),
		"--tls-cert-file=" + store.Cert(certs.SchedulerServer),
		"--tls-private-key-file=" + store.Key(certs.SchedulerServer),
		"--profiling=false",
		"--leader-elect=" + strconv.FormatBool(cfg.ServerMode == config.HA),
	}, cfg.Extra(Name)...)
}
