package kine

import (
	"time"

	"github.com/k3s-io/kine/pkg/drivers"
)

// polling returns cfg with Kine's default: look for new events once a second, or
// when told of one. This Kine refuses to watch without an interval.
func polling(cfg *drivers.Config) *drivers.Config {
	cfg.PollInterval = time.Second
	return cfg
}
