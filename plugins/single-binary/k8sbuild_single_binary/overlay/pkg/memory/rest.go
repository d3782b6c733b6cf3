package memory

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// Rest is what a process has come to that does little more than wait.
type Rest struct {
	// Interval is how often the process's processor time is looked at.
	Interval time.Duration
	// Share of one processor's time that a process at rest takes at most.
	Share float64
	// Longest is how long it is waited for.
	Longest time.Duration
}

// Await returns when the process was at rest for an interval, or Longest is over.
func (r Rest) Await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Longest)
	defer cancel()
	ticks := time.NewTicker(r.Interval)
	defer ticks.Stop()
	return r.await(ctx, ticks.C, used)
}

func (r Rest) await(ctx context.Context, ticks <-chan time.Time, used func() (time.Duration, error)) error {
	before, err := used()
	for err == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
		}
		var now time.Duration
		if now, err = used(); now-before <= time.Duration(r.Share*float64(r.Interval)) {
			return err
		}
		before = now
	}
	return err
}

// Work is what a process has done that has taken some processor time.
type Work struct {
	// Interval is how often the process's processor time is looked at.
	Interval time.Duration
	// Time of one processor.
	Time time.Duration
}

// Await returns when the process has worked so much since the call, or ctx has ended.
func (w Work) Await(ctx context.Context) error {
	ticks := time.NewTicker(w.Interval)
	defer ticks.Stop()
	return w.await(ctx, ticks.C, used)
}

func (w Work) await(ctx context.Context, ticks <-chan time.Time, used func() (time.Duration, error)) error {
	before, err := used()
	for now := before; err == nil && now-before < w.Time; now, err = used() {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
		}
	}
	return err
}

// used is the processor time that the process has taken.
func used() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("read the process's processor time: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}
