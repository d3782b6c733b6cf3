package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet/certificate/bootstrap"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/kubeconfig"
	"k8sbuild.dev/distribution/pkg/nodeidentity"
)

// identifyWithin bounds the wait for the first certificate.
const identifyWithin = time.Minute

func kubeconfigFile(cfg *config.Config) string {
	return filepath.Join(cfg.CredentialsDir(), Name+".kubeconfig")
}

func current(s *options.KubeletServer, purpose string) string {
	return filepath.Join(s.CertDirectory, "kubelet-"+purpose+"-current.pem")
}

// identify sees to it that the kubelet has a client certificate that the API
// server believes. Upstream starts without one and asks for it beside its work,
// which fails until it has it, and it looks at nothing but the date of an old one.
func identify(ctx context.Context, cfg *config.Config, s *options.KubeletServer) error {
	if err := certs.IssueNodeBootstrap(cfg); err != nil {
		return err
	}
	if err := kubeconfig.ForCert(cfg, certs.NodeBootstrap).Write(s.BootstrapKubeconfig); err != nil {
		return err
	}
	store := certs.Cluster(cfg)
	serving := current(s, "server")
	if err := believed(serving, store.Cert(certs.ServerCA), x509.ExtKeyUsageServerAuth, cfg.NodeName); err != nil {
		if err := forget(serving, err); err != nil {
			return err
		}
	}
	client := current(s, "client")
	if err := believed(client, store.Cert(certs.ClientCA), x509.ExtKeyUsageClientAuth, cfg.NodeName); err != nil {
		return introduce(ctx, cfg, s, err)
	}
	return writeKubeconfig(cfg, client)
}

// writeKubeconfig names the certificate that the kubelet renews.
func writeKubeconfig(cfg *config.Config, pem string) error {
	c := kubeconfig.ForCert(cfg, certs.NodeBootstrap)
	c.CertFile, c.KeyFile = pem, pem
	return c.Write(kubeconfigFile(cfg))
}

// introduce has the kubelet ask for a client certificate with the credential
// that was made for it at this start.
func introduce(ctx context.Context, cfg *config.Config, s *options.KubeletServer, why error) error {
	for _, path := range []string{current(s, "client"), s.KubeConfig} {
		if err := forget(path, why); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, identifyWithin)
	defer cancel()
	err := bootstrap.LoadClientCert(ctx, s.KubeConfig, s.BootstrapKubeconfig, s.CertDirectory, types.NodeName(cfg.NodeName))
	if err != nil {
		return fmt.Errorf("ask for the node's certificate: %w", err)
	}
	return nil
}

// forget removes a file, and says so if there was one.
func forget(path string, why error) error {
	err := os.Remove(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err == nil {
		klog.InfoS("Removed what the API server would not believe", "file", path, "why", why.Error())
	}
	return err
}

// believed says whether a certificate with its key is the node's, valid now, and
// signed by the authority.
func believed(path, authority string, usage x509.ExtKeyUsage, node string) error {
	pair, err := tls.LoadX509KeyPair(path, path)
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return err
	}
	if user := leaf.Subject.CommonName; user != nodeidentity.NodeUser(node) {
		return fmt.Errorf("it is of %s", user)
	}
	text, err := os.ReadFile(authority)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}
