package memory

import (
	"context"
	"errors"
	"testing"
	"time"
)

var errUsed = errors.New("no such counter")

// counter gives processor times one after the other, then an error.
func counter(times ...time.Duration) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		if len(times) == 0 {
			return 0, errUsed
		}
		now := times[0]
		times = times[1:]
		return now, nil
	}
}

// ticks is a ticker that has ticked so often.
func ticks(n int) <-chan time.Time {
	c := make(chan time.Time, n)
	for range n {
		c <- time.Time{}
	}
	return c
}

func TestRest(t *testing.T) {
	const s = time.Second
	r := Rest{Interval: 10 * s, Share: 0.1}
	for name, test := range map[string]struct {
		used func() (time.Duration, error)
		// left are the ticks that are not waited for, of five.
		left int
		want error
	}{
		"at once":              {counter(5*s, 6*s), 4, nil},
		"after two":            {counter(5*s, 7*s, 8*s), 3, nil},
		"what grows slower":    {counter(0, 9*s, 12*s, 14*s, 15*s), 1, nil},
		"cannot be counted":    {counter(), 5, errUsed},
		"can be no more":       {counter(0, 9*s), 3, errUsed},
		"just above, for ever": {counter(0, 2*s, 4*s, 6*s, 8*s), 0, errUsed},
	} {
		t.Run(name, func(t *testing.T) {
			c := ticks(5)
			if err := r.await(context.Background(), c, test.used); !errors.Is(err, test.want) {
				t.Errorf("got %v", err)
			}
			if len(c) != test.left {
				t.Errorf("%d ticks are left, not %d", len(c), test.left)
			}
		})
	}
}

func TestWork(t *testing.T) {
	const s = time.Second
	w := Work{Interval: 10 * s, Time: 5 * s}
	for name, test := range map[string]struct {
		used func() (time.Duration, error)
		// left are the ticks that are not waited for, of three.
		left int
		want error
	}{
		"at once":           {counter(9*s, 14*s), 2, nil},
		"in three steps":    {counter(9*s, 11*s, 13*s, 15*s), 0, nil},
		"cannot be counted": {counter(), 3, errUsed},
		"can be no more":    {counter(0, s), 1, errUsed},
	} {
		t.Run(name, func(t *testing.T) {
			c := ticks(3)
			if err := w.await(context.Background(), c, test.used); !errors.Is(err, test.want) {
				t.Errorf("got %v", err)
			}
			if len(c) != test.left {
				t.Errorf("%d ticks are left, not %d", len(c), test.left)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := (Work{Interval: time.Hour, Time: time.Hour}).Await(ctx); err != nil {
		t.Error(err)
	}
}

func TestRestIsNotAwaitedForEver(t *testing.T) {
	r := Rest{Interval: time.Hour, Longest: time.Millisecond}
	if err := r.Await(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestProcessorTimeIsCounted(t *testing.T) {
	before, err := used()
	if err != nil {
		t.Fatal(err)
	}
	for now := before; now == before; {
		if now, err = used(); err != nil {
			t.Fatal(err)
		}
	}
}
