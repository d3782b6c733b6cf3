package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Failure is the failure of one component.
type Failure struct {
	Component string
	Err       error
}

func (f *Failure) Error() string { return f.Component + ": " + f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// Manager runs a list of services.
type Manager struct {
	// Poll is the time between two questions for readiness.
	Poll time.Duration
	// ReadyTimeout bounds the time from a service's start until it is ready.
	ReadyTimeout time.Duration
	// StopTimeout bounds the stop of all services together.
	StopTimeout time.Duration
	// OnReady is called once, when all services are ready. May be nil.
	OnReady func()
	// BeforeStop is called once all services have been ready and a stop is asked
	// for: they still run. Not called when one has failed. May be nil.
	BeforeStop func()
	// Observe is told of each step. May be nil.
	Observe func(service, event string, took time.Duration)

	failures chan *Failure
}

// NewManager returns a manager with the limits of a server.
func NewManager() *Manager {
	return &Manager{
		Poll:         10 * time.Millisecond,
		ReadyTimeout: 2 * time.Minute,
		StopTimeout:  9 * time.Second,
		failures:     make(chan *Failure, 1),
	}
}

// Fail reports a component's failure from outside of its service, for example
// from a hook for the end of the process. Only the first one counts.
func (m *Manager) Fail(component string, err error) {
	select {
	case m.failures <- &Failure{component, err}:
	default:
	}
}

// Run starts the services in order, each after the one before it is ready,
// waits until ctx is over or one fails, and stops the started ones in reverse
// order. It returns the first failure, or nil for an orderly stop.
func (m *Manager) Run(ctx context.Context, services []Service) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go m.passOn(ctx, cancel)

	started, err := m.startAll(ctx, cancel, services)
	if err == nil {
		if m.OnReady != nil && ctx.Err() == nil {
			m.OnReady()
		}
		<-ctx.Done()
		if m.BeforeStop != nil && failureOf(ctx) == nil {
			m.BeforeStop()
		}
	}
	err = first(failureOf(ctx), err)
	return errors.Join(err, m.stopAll(started))
}

// passOn turns a failure reported by Fail into the end of ctx.
func (m *Manager) passOn(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case f := <-m.failures:
		cancel(f)
	case <-ctx.Done():
	}
}

func failureOf(ctx context.Context) error {
	var f *Failure
	if errors.As(context.Cause(ctx), &f) {
		return f
	}
	return nil
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// running is a started service and the function that ends its own context.
type running struct {
	Service
	cancel context.CancelFunc
}

// startAll returns what it started, with an error if that is not everything.
// The end of ctx during the start is no error of its own.
func (m *Manager) startAll(ctx context.Context, fail context.CancelCauseFunc, services []Service) ([]running, error) {
	var started []running
	for _, s := range services {
		if ctx.Err() != nil {
			return started, nil
		}
		begin := time.Now()
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		// A start may take long, and a stop does not wait for its end.
		unlink := context.AfterFunc(ctx, cancel)
		err := s.Start(own)
		unlink()
		if err != nil {
			cancel()
			if ctx.Err() != nil {
				return started, nil
			}
			return started, &Failure{s.Name(), fmt.Errorf("start: %w", err)}
		}
		started = append(started, running{s, cancel})
		go watch(ctx, s, fail)
		if err := m.waitReady(ctx, s); err != nil {
			return started, err
		}
		m.observe(s.Name(), "ready", time.Since(begin))
	}
	return started, nil
}

func watch(ctx context.Context, s Service, fail context.CancelCauseFunc) {
	select {
	case err := <-s.Failed():
		fail(&Failure{s.Name(), err})
	case <-ctx.Done():
	}
}

func (m *Manager) waitReady(ctx context.Context, s Service) error {
	limit, cancel := context.WithTimeout(ctx, m.ReadyTimeout)
	defer cancel()
	ticker := time.NewTicker(m.Poll)
	defer ticker.Stop()
	for {
		err := s.Ready(limit)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-limit.Done():
			if ctx.Err() != nil {
				return nil
			}
			return &Failure{s.Name(), fmt.Errorf("not ready after %s: %w", m.ReadyTimeout, err)}
		}
	}
}

// stopAll stops in reverse order. Each service but the first may use the
// remaining time less a share for those after it, so that one that hangs does
// not take the storage's time for an orderly end.
func (m *Manager) stopAll(started []running) error {
	deadline := time.Now().Add(m.StopTimeout)
	var errs []error
	for i, s := range slices.Backward(started) {
		begin := time.Now()
		share := time.Duration(i) * m.StopTimeout / time.Duration(len(started)+2)
		limit, cancel := context.WithDeadline(context.Background(), deadline.Add(-share))
		s.cancel()
		event := "stopped"
		if err := s.Stop(limit); errors.Is(err, ErrAbandoned) {
			event = "abandoned"
		} else if err != nil {
			errs = append(errs, &Failure{s.Name(), fmt.Errorf("stop: %w", err)})
		}
		cancel()
		m.observe(s.Name(), event, time.Since(begin))
	}
	return errors.Join(errs...)
}

// Alive asks those of the services whose standstill is that of all.
func Alive(ctx context.Context, services []Service) error {
	for _, s := range services {
		living, ok := s.(Living)
		if !ok {
			continue
		}
		if err := living.Alive(ctx); err != nil {
			return &Failure{s.Name(), fmt.Errorf("does not move: %w", err)}
		}
	}
	return nil
}

func (m *Manager) observe(service, event string, took time.Duration) {
	if m.Observe != nil {
		m.Observe(service, event, took)
	}
}
