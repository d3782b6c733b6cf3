package kine

import (
	"fmt"
	"sync"

	"github.com/k3s-io/kine/pkg/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/component-base/metrics/legacyregistry"
)

// export is the one collector that Kubernetes' registry, of which a process has
// one, ever sees of us. It hands on the metrics of the running storage, so that
// a second start registers nothing twice and a stopped storage reports nothing.
type export struct {
	mu       sync.Mutex
	once     sync.Once
	registry *prometheus.Registry
}

var exported export

// set makes registry the one whose metrics are reported; nil reports none.
func (e *export) set(registry *prometheus.Registry) {
	e.once.Do(func() { legacyregistry.RawMustRegister(e) })
	e.mu.Lock()
	defer e.mu.Unlock()
	e.registry = registry
}

// Describe names no metric: what is there depends on what runs.
func (e *export) Describe(chan<- *prometheus.Desc) {}

// Collect hands on the metrics of the running storage.
func (e *export) Collect(ch chan<- prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.registry != nil {
		e.registry.Collect(ch)
	}
}

// newRegistry holds Kine's metrics for one start.
func newRegistry() (*prometheus.Registry, error) {
	registry := prometheus.NewRegistry()
	collectors := append(ownMetrics(), metrics.SQLTotal, metrics.SQLTime, metrics.CompactTotal, metrics.InsertErrorsTotal)
	for _, collector := range collectors {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return registry, nil
}
