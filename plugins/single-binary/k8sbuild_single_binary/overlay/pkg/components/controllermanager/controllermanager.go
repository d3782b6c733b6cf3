// Package controllermanager runs kube-controller-manager in this process.
package controllermanager

import (
	"context"
	"fmt"
	"net"
	"strconv"

	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/components/shared"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/kubeconfig"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name.
const Name = "kube-controller-manager"

// Register adds the component to the server.
func Register() {
	server.Register(server.Component{Name: Name, Role: server.RoleControllerManager, New: New})
}

// New makes the component's service, which begins anew when it loses its lease.
func New(cfg *config.Config) (service.Service, error) {
	if err := shared.CheckExtra(cfg, Name, flags); err != nil {
		return nil, err
	}
	run := func(ctx context.Context, l net.Listener) error { return run(ctx, cfg, l) }
	return shared.Elected(cfg, Name, app.ConfigzName, cfg.ControllerManagerPort, run), nil
}

// controllers are those that the component knows.
func controllers() (all, off []string, aliases map[string]string) {
	return app.KnownControllers(), app.ControllersDisabledByDefault(), app.ControllerAliases()
}

func flags() (cliflag.NamedFlagSets, error) {
	s, err := options.NewKubeControllerManagerOptions()
	if err != nil {
		return cliflag.NamedFlagSets{}, fmt.Errorf("make options: %w", err)
	}
	return s.Flags(controllers()), nil
}

func run(ctx context.Context, cfg *config.Config, listener net.Listener) error {
	s, err := options.NewKubeControllerManagerOptions()
	if err != nil {
		return fmt.Errorf("make options: %w", err)
	}
	if err := shared.Parse(Name, s.Flags(controllers()), Args(cfg)); err != nil {
		return err
	}
	s.SecureServing.Listener = listener
	c, err := s.Config(controllers())
	if err != nil {
		return fmt.Errorf("make configuration: %w", err)
	}
	return app.Run(ctx, c.Complete())
}

// Args are the component's arguments.
func Args(cfg *config.Config) []string {
	store := certs.Cluster(cfg)
	kubeconfigFile := kubeconfig.Path(cfg, certs.ControllerManager)
	args := []string{
		"--kubeconfig=" + kubeconfigFile,
		"--authentication-kubeconfig=" + kubeconfigFile,
		"--authorization-kubeconfig=" + kubeconfigFile,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(cfg.ControllerManagerPort),
		"--tls-cert-file=" + store.Cert(certs.ControllerManagerServer),
		"--tls-private-key-file=" + store.Key(certs.ControllerManagerServer),
		// Whom upstream's approver trusts is a matter of permissions, whom ours
		// trusts of identity: one that asks less would let the others in.
		"--controllers=*,-certificatesigningrequest-approving-controller",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + store.Key(certs.ServiceAccount),
		"--root-ca-file=" + store.Cert(certs.ServerCA),
		"--allocate-node-cidrs=true",
		"--cluster-cidr=" + cfg.ClusterCIDR,
		"--service-cluster-ip-range=" + cfg.ServiceCIDR,
		"--profiling=false",
		"--leader-elect=" + strconv.FormatBool(cfg.ServerMode == config.HA),
	}
	// There is one flag pair for each signer, and no certificate of one
	// authority may pass for the other's. What nodes ask for is signed where
	// it is approved.
	for signer, ca := range map[string]string{
		"kube-apiserver-client": certs.ClientCA,
		"legacy-unknown":        certs.ServerCA,
	} {
		args = append(args,
			"--cluster-signing-"+signer+"-cert-file="+store.Cert(ca),
			"--cluster-signing-"+signer+"-key-file="+store.Key(ca))
	}
	return append(args, cfg.Extra(Name)...)
}
