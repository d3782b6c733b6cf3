package kine

import (
	"github.com/k3s-io/kine/pkg/drivers"
	"github.com/k3s-io/kine/pkg/metrics"
	"github.com/prometheus/client_golang/prometheus"
)

// polling returns cfg as it is: this Kine looks for new events once a second,
// or when it is told of one.
func polling(cfg *drivers.Config) *drivers.Config { return cfg }

// ownMetrics are those that our patches add to Kine.
func ownMetrics() []prometheus.Collector { return []prometheus.Collector{metrics.GroupSize} }
