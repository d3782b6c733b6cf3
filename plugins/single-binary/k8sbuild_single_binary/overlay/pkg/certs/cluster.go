package certs

import (
	"fmt"
	"net/netip"
	"time"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/nodeidentity"
)

// nodeBootstrapLife covers the start of the kubelet, on slow machines too.
const nodeBootstrapLife = 15 * time.Minute

// Names of the cluster's authorities, certificates and keys.
const (
	ClientCA        = "client-ca"
	ServerCA        = "server-ca"
	RequestHeaderCA = "request-header-ca"

	APIServer               = "serving-kube-apiserver"
	ControllerManagerServer = "serving-kube-controller-manager"
	SchedulerServer         = "serving-kube-scheduler"

	Admin             = "client-admin"
	KubeletClient     = "client-kube-apiserver-kubelet"
	Proxy             = "client-request-header"
	ControllerManager = "client-kube-controller-manager"
	Scheduler         = "client-kube-scheduler"
	KubeProxy         = "client-kube-proxy"
	// Server is what the process itself asks the API server as.
	Server = "client-k8s"
	// NodeBootstrap is what the kubelet asks for its first certificate as.
	NodeBootstrap = "client-node-bootstrap"

	ServiceAccount = "service-account"
)

// Cluster is the store of a server's certificates.
func Cluster(cfg *config.Config) Store { return Store{Dir: cfg.TLSDir(), Now: time.Now} }

// losses say what follows when a key is made anew in a cluster that ran before.
var losses = []struct{ name, what string }{
	{ClientCA, "clients with a certificate of the old one are refused: hand out the new admin.kubeconfig"},
	{ServerCA, "clients that trust the old one refuse the API server: hand out the new admin.kubeconfig"},
	{RequestHeaderCA, "extension API servers refuse requests until they have read the new one"},
	{ServiceAccount, "tokens of service accounts are refused: restart pods, make long-lived tokens anew"},
}

// Losses says for each key of an authority or of tokens that is not there what
// follows from it in a cluster that ran before.
func Losses(cfg *config.Config) (out []string) {
	for _, l := range losses {
		if path := Cluster(cfg).Key(l.name); missing(path) {
			out = append(out, path+" is lost and made anew; "+l.what)
		}
	}
	return out
}

// EnsureCluster makes the certificates that cfg asks for, and the key that
// signs service-account tokens.
func EnsureCluster(cfg *config.Config) (made []string, err error) {
	sans, err := APIServerSANs(cfg)
	if err != nil {
		return nil, err
	}
	store := Cluster(cfg)
	if err := store.EnsureKey(ServiceAccount); err != nil {
		return nil, err
	}
	local := []string{"localhost", "127.0.0.1", "::1"}
	return store.Ensure([]string{ClientCA, ServerCA, RequestHeaderCA}, []Leaf{
		{Name: APIServer, CA: ServerCA, CommonName: "kube-apiserver", SANs: sans},
		{Name: ControllerManagerServer, CA: ServerCA, CommonName: "kube-controller-manager", SANs: local},
		{Name: SchedulerServer, CA: ServerCA, CommonName: "kube-scheduler", SANs: local},
		{Name: Admin, CA: ClientCA, CommonName: "kubernetes-admin", Organizations: []string{"system:masters"}},
		{Name: KubeletClient, CA: ClientCA, CommonName: "kube-apiserver", Organizations: []string{"system:masters"}},
		{Name: ControllerManager, CA: ClientCA, CommonName: "system:kube-controller-manager"},
		{Name: Scheduler, CA: ClientCA, CommonName: "system:kube-scheduler"},
		{Name: KubeProxy, CA: ClientCA, CommonName: "system:kube-proxy"},
		{Name: Server, CA: ClientCA, CommonName: "k8s", Organizations: []string{"system:masters"}},
		{Name: Proxy, CA: RequestHeaderCA, CommonName: "system:auth-proxy"},
	})
}

// IssueNodeBootstrap makes a fresh credential with which this machine's kubelet
// may ask for the certificate of its own node, and for nothing else, for a
// short time. It is what helps when the kubelet's own certificate has expired.
func IssueNodeBootstrap(cfg *config.Config) error {
	err := Cluster(cfg).Issue(Leaf{
		Name: NodeBootstrap, CA: ClientCA, Life: nodeBootstrapLife,
		CommonName: nodeidentity.BootstrapUser(cfg.NodeName), Organizations: []string{nodeidentity.BootstrapGroup},
	})
	if err != nil {
		return fmt.Errorf("certificate %s: %w", NodeBootstrap, err)
	}
	return nil
}

// APIServerSANs are the names and addresses under which clients know the API server.
func APIServerSANs(cfg *config.Config) ([]string, error) {
	service, err := cfg.APIServiceIP()
	if err != nil {
		return nil, err
	}
	sans := []string{
		"localhost", "127.0.0.1", "::1", service.String(), cfg.AdvertiseAddress,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + cfg.ClusterDomain,
	}
	if bind, err := netip.ParseAddr(cfg.BindAddress); err == nil && !bind.IsUnspecified() {
		sans = append(sans, bind.String())
	}
	return append(sans, cfg.TLSSANs...), nil
}
