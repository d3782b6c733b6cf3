package kine

import (
	"time"

	"github.com/k3s-io/kine/pkg/drivers"
	"github.com/prometheus/client_golang/prometheus"
)

// polling returns cfg with Kine's default: look for new events once a second, or
// when told of one. This Kine refuses to watch without an interval.
func polling(cfg *drivers.Config) *drivers.Config {
	cfg.PollInterval = time.Second
	return cfg
}

// ownMetrics are those that our patches add to Kine: this one's writes are not grouped.
func ownMetrics() []prometheus.Collector { return nil }
