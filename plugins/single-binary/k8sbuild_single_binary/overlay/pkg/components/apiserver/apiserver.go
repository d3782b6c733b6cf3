// Package apiserver runs kube-apiserver in this process.
package apiserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	cliflag "k8s.io/component-base/cli/flag"
	aggregator "k8s.io/kube-aggregator/pkg/apiserver"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name.
const Name = "kube-apiserver"

// abandonAfter bounds the wait for open requests. Those that wait for a storage
// that has gone do so for up to a minute, and there is nothing to lose: what was
// answered is in the storage, and the others fail in any case.
const abandonAfter = 5 * time.Second

// Register adds the component to the server.
func Register() { server.Register(server.Component{Name: Name, Role: server.RoleAPIServer, New: New}) }

// New makes the component's service.
func New(cfg *config.Config) (service.Service, error) {
	if err := shared.CheckExtra(cfg, Name, flags); err != nil {
		return nil, err
	}
	run := func(ctx context.Context) error { return run(ctx, cfg) }
	r := shared.Runner(cfg, Name, cfg.APIServerURL()+"/readyz", run)
	r.Abandon = abandonAfter
	// The check asks the storage as well.
	r.IsAlive = shared.Health(cfg, cfg.APIServerURL()+"/livez")
	return r, nil
}

func flags() (cliflag.NamedFlagSets, error) { return options.NewServerRunOptions().Flags(), nil }

// run calls upstream's functions and not its command, which takes the
// process's signals, log and feature gates for its own.
func run(ctx context.Context, cfg *config.Config) error {
	s := options.NewServerRunOptions()
	if err := shared.Parse(Name, s.Flags(), Args(cfg)); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	completed, err := s.Complete()
	if err != nil {
		return fmt.Errorf("complete options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	return silence(serve(ctx, completed), cfg)
}

// silence says of a time-out who did not answer: upstream names nobody.
func silence(err error, cfg *config.Config) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer from the storage at %s: %w", strings.Join(cfg.StorageEndpoints(), ", "), err)
	}
	return err
}

// serve is upstream's Run, which looks at ctx only when the server is made and
// started: bootstrap hooks that begin after the stop fail, and a failed hook
// ends the process. So this one starts no server that is to stop already.
func serve(ctx context.Context, completed options.CompletedOptions) error {
	chain, err := unlessOver(ctx, func() (*aggregator.APIAggregator, error) {
		settings, err := app.NewConfig(completed)
		config, err := then(settings, err, (*app.Config).Complete)
		return then(config, err, app.CreateServerChain)
	})
	prepared, err := then(chain, err, (*aggregator.APIAggregator).PrepareRun)
	if err := cmp.Or(err, ctx.Err()); err != nil {
		return err
	}
	return prepared.Run(ctx)
}

// unlessOver waits for what produce gives, but not longer than for the end of ctx.
// Making the server waits for a storage that does not answer, and looks at no
// context; what is not made yet has nothing to lose.
func unlessOver[T any](ctx context.Context, produce func() (T, error)) (none T, _ error) {
	if ctx.Err() != nil {
		return none, ctx.Err()
	}
	type result struct {
		made T
		err  error
	}
	results := make(chan result, 1)
	go func() {
		made, err := produce()
		results <- result{made, err}
	}()
	select {
	case r := <-results:
		return r.made, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// then makes the next thing of what the step before made, unless that failed.
func then[From, To any](from From, err error, next func(From) (To, error)) (to To, _ error) {
	if err != nil {
		return to, err
	}
	return next(from)
}

// Args are the component's arguments.
func Args(cfg *config.Config) []string {
	store := certs.Cluster(cfg)
	issuer := "https://kubernetes.default.svc." + cfg.ClusterDomain
	args := []string{
		"--bind-address=" + cfg.BindAddress,
		"--secure-port=" + strconv.Itoa(cfg.HTTPSListenPort),
		"--advertise-address=" + cfg.AdvertiseAddress,
		"--service-cluster-ip-range=" + cfg.ServiceCIDR,
		"--etcd-servers=" + strings.Join(cfg.StorageEndpoints(), ","),

		"--tls-cert-file=" + store.Cert(certs.APIServer),
		"--tls-private-key-file=" + store.Key(certs.APIServer),
		"--client-ca-file=" + store.Cert(certs.ClientCA),
		"--kubelet-certificate-authority=" + store.Cert(certs.ServerCA),
		"--kubelet-client-certificate=" + store.Cert(certs.KubeletClient),
		"--kubelet-client-key=" + store.Key(certs.KubeletClient),
		"--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
		"--requestheader-client-ca-file=" + store.Cert(certs.RequestHeaderCA),
		"--requestheader-allowed-names=system:auth-proxy",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + store.Cert(certs.Proxy),
		"--proxy-client-key-file=" + store.Key(certs.Proxy),

		"--service-account-issuer=" + issuer,
		"--api-audiences=" + issuer,
		"--service-account-signing-key-file=" + store.Key(certs.ServiceAccount),
		"--service-account-key-file=" + store.Key(certs.ServiceAccount),

		"--anonymous-auth=false",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--profiling=false",

		// Upstream waits up to a minute for open requests and watches.
		"--shutdown-send-retry-after=true",
		"--shutdown-watch-termination-grace-period=1s",
	}
	if cfg.ServerMode == config.HA {
		args = append(args, etcdTLS(cfg)...)
	}
	// Endpoints may not be loopback addresses; a machine that has no other
	// address has nobody who would use them.
	if addr, err := netip.ParseAddr(cfg.AdvertiseAddress); err == nil && addr.IsLoopback() {
		args = append(args, "--endpoint-reconciler-type=none")
	}
	return append(args, cfg.Extra(Name)...)
}

func etcdTLS(cfg *config.Config) []string {
	return []string{
		"--etcd-cafile=" + cfg.EtcdCAFile,
		"--etcd-certfile=" + cfg.EtcdCertFile,
		"--etcd-keyfile=" + cfg.EtcdKeyFile,
	}
}
