package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrEnded is the failure of a component that returned without being asked to.
var ErrEnded = errors.New("ended without being asked to")

// ErrAbandoned is what Stop returns of a component that runs on and has nothing
// to lose. It is no failure of the stop.
var ErrAbandoned = errors.New("runs on and has nothing to lose")

// Runner is a Service made of a function that runs until its context is over.
type Runner struct {
	// Component is the service's name.
	Component string
	// Run runs the component until ctx is over. An error after that is normal.
	Run func(ctx context.Context) error
	// IsReady answers Ready.
	IsReady func(ctx context.Context) error
	// IsAlive answers Alive. May be nil.
	IsAlive func(ctx context.Context) error
	// Abandon is how long Stop waits for a component that has nothing to lose,
	// after which it is ErrAbandoned and the process goes on to its end without
	// it. Zero waits as long as Stop's context allows, and not ending by then is
	// a failure.
	Abandon time.Duration

	once   sync.Once
	done   chan struct{}
	failed chan error
	cancel context.CancelFunc
}

func (r *Runner) init() {
	r.once.Do(func() {
		r.done = make(chan struct{})
		r.failed = make(chan error, 1)
	})
}

// Name implements Service.
func (r *Runner) Name() string { return r.Component }

// Start implements Service.
func (r *Runner) Start(ctx context.Context) error {
	r.init()
	ctx, r.cancel = context.WithCancel(ctx)
	go func() {
		defer close(r.done)
		err := r.Run(ctx)
		if ctx.Err() == nil {
			r.failed <- first(err, ErrEnded)
		}
	}()
	return nil
}

// Ready implements Service.
func (r *Runner) Ready(ctx context.Context) error { return r.IsReady(ctx) }

// Alive implements Living.
func (r *Runner) Alive(ctx context.Context) error {
	if r.IsAlive == nil {
		return nil
	}
	return r.IsAlive(ctx)
}

// Stop implements Service.
func (r *Runner) Stop(ctx context.Context) error {
	r.init()
	if r.cancel == nil {
		return nil
	}
	r.cancel()
	var abandon <-chan time.Time
	if r.Abandon > 0 {
		abandon = time.After(r.Abandon)
	}
	select {
	case <-r.done:
		return nil
	case <-abandon:
		return ErrAbandoned
	case <-ctx.Done():
		if r.Abandon > 0 {
			return ErrAbandoned
		}
		return fmt.Errorf("still running: %w", ctx.Err())
	}
}

// Failed implements Service.
func (r *Runner) Failed() <-chan error {
	r.init()
	return r.failed
}

// Restart makes a function for Runner.Run that runs one term after the other
// for as long as again accepts the error with which a term ended. Each term has
// a context of its own, which is over before the next term begins.
func Restart(term func(ctx context.Context) error, again func(error) bool) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			err := once(ctx, term)
			if ctx.Err() != nil || !again(err) {
				return err
			}
		}
	}
}

func once(ctx context.Context, term func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return term(ctx)
}

// Since answers Ready: with notYet until the channel is closed.
func Since(ready <-chan struct{}, notYet error) func(context.Context) error {
	return func(context.Context) error {
		select {
		case <-ready:
			return nil
		default:
			return notYet
		}
	}
}
