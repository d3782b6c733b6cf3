package kine

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"
)

// every does turn after each interval until ctx ends. One that fails is logged as
// failed, and is not the last.
func every(ctx context.Context, interval time.Duration, turn func(context.Context) error, failed string) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := turn(ctx); err != nil && ctx.Err() == nil {
			logrus.Warnf("%s: %v", failed, err)
		}
	}
}
