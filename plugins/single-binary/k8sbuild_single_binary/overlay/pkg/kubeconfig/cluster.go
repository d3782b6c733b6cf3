package kubeconfig

import (
	"path/filepath"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/config"
)

// Path is the kubeconfig of the component whose client certificate has the name.
func Path(cfg *config.Config, cert string) string {
	if cert == certs.Admin {
		return cfg.AdminKubeconfig()
	}
	return filepath.Join(cfg.CredentialsDir(), cert+".kubeconfig")
}

// EnsureCluster writes the kubeconfigs of the administrator and the components,
// and the copy of --write-kubeconfig.
func EnsureCluster(cfg *config.Config) error {
	for _, cert := range []string{certs.Admin, certs.Server, certs.ControllerManager, certs.Scheduler, certs.KubeProxy} {
		if err := ForCert(cfg, cert).Write(Path(cfg, cert)); err != nil {
			return err
		}
	}
	if cfg.WriteKubeconfig == "" {
		return nil
	}
	mode, err := cfg.KubeconfigMode()
	if err != nil {
		return err
	}
	return ForCert(cfg, certs.Admin).WriteEmbedded(cfg.WriteKubeconfig, mode)
}

// ForCert is the client of the API server with one of the cluster's certificates.
func ForCert(cfg *config.Config, cert string) Client {
	store := certs.Cluster(cfg)
	return Client{
		Server:   cfg.APIServerURL(),
		CAFile:   store.Cert(certs.ServerCA),
		CertFile: store.Cert(cert),
		KeyFile:  store.Key(cert),
	}
}
