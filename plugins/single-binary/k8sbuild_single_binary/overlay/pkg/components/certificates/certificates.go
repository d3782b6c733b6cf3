// Package certificates makes what the components know each other by, and keeps
// it from running out.
package certificates

import (
	"context"
	"os"
	"time"

	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/kubeconfig"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/service"
)

// Name is the component's name.
const Name = "certificates"

// renewEvery is how often certificates are looked at. Components read them
// again when the files change.
const renewEvery = 12 * time.Hour

// Register adds the component to the server. It starts after the storage, which
// is the last to learn that another server has the data directory: until then,
// nobody may write there.
func Register() {
	server.Register(server.Component{Name: Name, Role: server.RoleCertificates, New: New})
}

// files is the service; its start ends when all files are there.
type files struct {
	service.Runner
	cfg *config.Config
	// ranBefore is seen before the storage makes files of its own.
	ranBefore bool
}

// New makes the component's service.
func New(cfg *config.Config) (service.Service, error) {
	entries, _ := os.ReadDir(cfg.DBDir())
	f := &files{cfg: cfg, ranBefore: len(entries) > 0}
	f.Runner = service.Runner{
		Component: Name,
		Run:       f.renew,
		IsReady:   func(context.Context) error { return nil },
	}
	return f, nil
}

// Start implements service.Service.
func (f *files) Start(ctx context.Context) error {
	if f.ranBefore {
		for _, loss := range certs.Losses(f.cfg) {
			klog.Warning(loss)
		}
	}
	if err := f.ensure(); err != nil {
		return err
	}
	return f.Runner.Start(ctx)
}

func (f *files) ensure() error {
	made, err := certs.EnsureCluster(f.cfg)
	if err != nil {
		return err
	}
	if len(made) > 0 {
		klog.InfoS("Made certificates", "names", made)
	}
	return kubeconfig.EnsureCluster(f.cfg)
}

func (f *files) renew(ctx context.Context) error {
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := f.ensure(); err != nil {
				klog.ErrorS(err, "Cannot renew certificates")
			}
		}
	}
}
