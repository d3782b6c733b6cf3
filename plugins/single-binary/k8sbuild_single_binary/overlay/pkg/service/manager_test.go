package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder notes what happens, in order.
type recorder struct {
	mu     sync.Mutex
	events []string
}

func (r *recorder) add(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// runner runs until asked to stop and is ready at the third question.
func runner(rec *recorder, name string) *Runner {
	asked := 0
	return &Runner{
		Component: name,
		Run: func(ctx context.Context) error {
			rec.add("run " + name)
			<-ctx.Done()
			rec.add("end " + name)
			return errors.New("an error after the stop is normal")
		},
		IsReady: func(context.Context) error {
			if asked++; asked < 3 {
				return errors.New("not yet")
			}
			rec.add("ready " + name)
			return nil
		},
	}
}

func testManager() *Manager {
	m := NewManager()
	m.Poll = time.Millisecond
	m.ReadyTimeout = 5 * time.Second
	m.StopTimeout = 5 * time.Second
	return m
}

func TestOrderOfStartAndStop(t *testing.T) {
	rec := &recorder{}
	m := testManager()
	ctx, cancel := context.WithCancel(t.Context())
	m.OnReady = func() { rec.add("all ready"); cancel() }
	m.Observe = func(s, event string, _ time.Duration) {
		if event == "stopped" {
			rec.add("stopped " + s)
		}
	}
	if err := m.Run(ctx, []Service{runner(rec, "a"), runner(rec, "b")}); err != nil {
		t.Fatal(err)
	}
	want := "run a,ready a,run b,ready b,all ready,end b,stopped b,end a,stopped a"
	if got := strings.Join(rec.all(), ","); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestAllRunBeforeAStop(t *testing.T) {
	for failure, want := range map[bool]string{
		false: "run a,ready a,before,end a",
		true:  "run a,ready a,end a",
	} {
		rec, m := &recorder{}, testManager()
		ctx, cancel := context.WithCancel(t.Context())
		m.OnReady = cancel
		if failure {
			m.OnReady = func() { m.Fail("a", errors.New("no")) }
		}
		m.BeforeStop = func() { rec.add("before") }
		if err := m.Run(ctx, []Service{runner(rec, "a")}); (err != nil) != failure {
			t.Errorf("failure %t: %v", failure, err)
		}
		cancel()
		if got := strings.Join(rec.all(), ","); got != want {
			t.Errorf("failure %t: got %s", failure, got)
		}
	}
}

func TestFailureStopsAllInOrder(t *testing.T) {
	boom := errors.New("boom")
	for name, run := range map[string]func(context.Context) error{
		"boom":                      func(context.Context) error { return boom },
		"ended without being asked": func(context.Context) error { return nil },
	} {
		rec := &recorder{}
		failing := &Runner{Component: "b", Run: run, IsReady: func(context.Context) error { return nil }}
		err := testManager().Run(t.Context(), []Service{runner(rec, "a"), failing})
		var f *Failure
		if !errors.As(err, &f) || f.Component != "b" || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v", err)
		}
		if got := rec.all(); !slices.Equal(got, []string{"run a", "ready a", "end a"}) {
			t.Errorf("got %v", got)
		}
	}
}

func TestFailureFromOutside(t *testing.T) {
	rec := &recorder{}
	m := testManager()
	m.OnReady = func() {
		m.Fail("c", errors.New("asked for the end of the process"))
		m.Fail("d", errors.New("too late"))
	}
	err := m.Run(t.Context(), []Service{runner(rec, "a")})
	if err == nil || err.Error() != "c: asked for the end of the process" {
		t.Errorf("got %v", err)
	}
	if got := rec.all(); got[len(got)-1] != "end a" {
		t.Errorf("got %v", got)
	}
}

// checking is a service whose start is one long check.
type checking struct{ *Runner }

func (checking) Start(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("check: %w", ctx.Err())
}

func TestStopDuringALongStart(t *testing.T) {
	rec := &recorder{}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	err := testManager().Run(ctx, []Service{runner(rec, "a"), checking{runner(rec, "b")}, runner(rec, "c")})
	if err != nil {
		t.Errorf("an orderly stop ends with %v", err)
	}
	if got := rec.all(); !slices.Equal(got, []string{"run a", "ready a", "end a"}) {
		t.Errorf("got %v", got)
	}
}

type broken struct{ *Runner }

func (broken) Start(context.Context) error { return errors.New("no disk") }

func TestStartError(t *testing.T) {
	rec := &recorder{}
	err := testManager().Run(t.Context(), []Service{runner(rec, "a"), broken{runner(rec, "b")}, runner(rec, "c")})
	if err == nil || err.Error() != "b: start: no disk" {
		t.Errorf("got %v", err)
	}
	if got := rec.all(); !slices.Equal(got, []string{"run a", "ready a", "end a"}) {
		t.Errorf("got %v", got)
	}
}

func TestNotReadyInTime(t *testing.T) {
	m := testManager()
	m.ReadyTimeout = 20 * time.Millisecond
	s := runner(&recorder{}, "slow")
	s.IsReady = func(context.Context) error { return errors.New("/readyz says 500") }
	err := m.Run(t.Context(), []Service{s})
	if err == nil || !strings.Contains(err.Error(), "slow: not ready after 20ms: /readyz says 500") {
		t.Errorf("got %v", err)
	}
}

func TestStopDuringStart(t *testing.T) {
	rec := &recorder{}
	ctx, cancel := context.WithCancel(t.Context())
	s := runner(rec, "a")
	s.IsReady = func(context.Context) error { cancel(); return errors.New("not yet") }
	m := testManager()
	m.OnReady = func() { rec.add("all ready") }
	if err := m.Run(ctx, []Service{s, runner(rec, "b")}); err != nil {
		t.Fatal(err)
	}
	if got := rec.all(); !slices.Equal(got, []string{"run a", "end a"}) {
		t.Errorf("got %v", got)
	}
}

func TestHangingServiceLeavesTimeForStorage(t *testing.T) {
	// Storage gets a quarter of it, which a busy machine may need.
	t.Parallel()
	rec := &recorder{}
	m := testManager()
	m.StopTimeout = 4 * time.Second
	release := make(chan struct{})
	defer close(release)
	hanging := &Runner{
		Component: "hanging",
		Run:       func(context.Context) error { <-release; return nil },
		IsReady:   func(context.Context) error { return nil },
	}
	ctx, cancel := context.WithCancel(t.Context())
	m.OnReady = cancel
	err := m.Run(ctx, []Service{runner(rec, "storage"), hanging})
	if err == nil || !strings.Contains(err.Error(), "hanging: stop: still running") || strings.Contains(err.Error(), "storage") {
		t.Errorf("got %v", err)
	}
	if got := rec.all(); got[len(got)-1] != "end storage" {
		t.Errorf("got %v", got)
	}
}

// However many there are, the one that stops first has time for it.
func TestEachOfManyServicesHasTimeToStop(t *testing.T) {
	m := testManager()
	m.StopTimeout = 5 * time.Second
	var services []Service
	for range 12 {
		services = append(services, &Runner{
			Component: "slow",
			Run: func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(5 * time.Millisecond)
				return nil
			},
			IsReady: func(context.Context) error { return nil },
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	m.OnReady = cancel
	if err := m.Run(ctx, services); err != nil {
		t.Error(err)
	}
}

func TestAbandonedComponentIsNoError(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	s := &Runner{
		Component: "stateless", Abandon: 5 * time.Millisecond,
		Run: func(context.Context) error { <-release; return nil },
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); !errors.Is(err, ErrAbandoned) {
		t.Errorf("got %v", err)
	}
	late, cancel := context.WithCancel(t.Context())
	cancel()
	s.Abandon = time.Hour
	if err := s.Stop(late); !errors.Is(err, ErrAbandoned) {
		t.Errorf("got %v", err)
	}
}

func TestAbandonedComponentIsObservedAndTheRestStops(t *testing.T) {
	rec := &recorder{}
	m := testManager()
	m.Observe = func(name, event string, _ time.Duration) { rec.add(name + " " + event) }
	release := make(chan struct{})
	defer close(release)
	stateless := &Runner{
		Component: "stateless", Abandon: time.Millisecond,
		Run:     func(context.Context) error { <-release; return nil },
		IsReady: func(context.Context) error { return nil },
	}
	ctx, cancel := context.WithCancel(t.Context())
	m.OnReady = cancel
	if err := m.Run(ctx, []Service{runner(rec, "storage"), stateless}); err != nil {
		t.Error(err)
	}
	want := []string{"stateless ready", "stateless abandoned", "end storage", "storage stopped"}
	if got := rec.all(); !slices.Equal(got[len(got)-4:], want) {
		t.Errorf("got %v", got)
	}
}

func TestStopBeforeStart(t *testing.T) {
	if err := runner(&recorder{}, "a").Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRestart(t *testing.T) {
	lost := errors.New("lost lease")
	var terms []context.Context
	run := Restart(func(ctx context.Context) error {
		for _, old := range terms {
			if old.Err() == nil {
				t.Error("a term began before the one before it was over")
			}
		}
		terms = append(terms, ctx)
		if len(terms) < 20 {
			return fmt.Errorf("term %d: %w", len(terms), lost)
		}
		return errors.New("another error")
	}, func(err error) bool { return errors.Is(err, lost) })
	if err := run(t.Context()); err == nil || err.Error() != "another error" || len(terms) != 20 {
		t.Errorf("got %v after %d terms", err, len(terms))
	}
}

func TestNoRestartAfterStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	terms := 0
	run := Restart(func(context.Context) error { terms++; cancel(); return nil }, func(error) bool { return true })
	if err := run(ctx); err != nil || terms != 1 {
		t.Errorf("got %v after %d terms", err, terms)
	}
}

func TestAliveAsksThoseThatAnswer(t *testing.T) {
	rec := &recorder{}
	silent, well, stuck := runner(rec, "silent"), runner(rec, "well"), runner(rec, "stuck")
	well.IsAlive = func(context.Context) error { return nil }
	stuck.IsAlive = func(context.Context) error { return errors.New("no answer") }
	plain := struct{ Service }{silent}
	if err := Alive(t.Context(), []Service{silent, plain, well}); err != nil {
		t.Error(err)
	}
	err := Alive(t.Context(), []Service{well, stuck})
	if err == nil || err.Error() != "stuck: does not move: no answer" {
		t.Errorf("got %v", err)
	}
}

func TestReadySinceTheChannelIsClosed(t *testing.T) {
	ready, notYet := make(chan struct{}), errors.New("not yet")
	is := Since(ready, notYet)
	if err := is(t.Context()); !errors.Is(err, notYet) {
		t.Errorf("got %v", err)
	}
	close(ready)
	if err := is(t.Context()); err != nil {
		t.Error(err)
	}
}
