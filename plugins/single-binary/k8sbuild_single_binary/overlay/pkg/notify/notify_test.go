package notify

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// listen is the service manager's end of the socket.
func listen(t *testing.T) (path string, next func(wait time.Duration) string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "n")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return path, func(wait time.Duration) string {
		text := make([]byte, 64)
		_ = socket.SetReadDeadline(time.Now().Add(wait))
		n, _ := socket.Read(text)
		return string(text[:n])
	}
}

func TestReadyReachesTheServiceManagerOnly(t *testing.T) {
	path, next := listen(t)
	t.Setenv("NOTIFY_SOCKET", path)
	n, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	if _, set := os.LookupEnv("NOTIFY_SOCKET"); set {
		t.Error("components can see NOTIFY_SOCKET")
	}
	if err := n.Send("READY=1"); err != nil {
		t.Fatal(err)
	}
	if got := next(10 * time.Second); got != "READY=1" {
		t.Errorf("got %q", got)
	}
	if err := (Notifier{socket: path + "missing"}).Send("READY=1"); err == nil {
		t.Error("no error for a missing socket")
	}
	if err := (Notifier{}).Send("READY=1"); err != nil {
		t.Errorf("without a service manager: %v", err)
	}
}

func TestWatchdogIsTaken(t *testing.T) {
	for _, tc := range []struct {
		limit, pid string
		want       time.Duration
		err        bool
	}{
		{"", "", 0, false},
		{"2000000", "", 2 * time.Second, false},
		{"2000000", strconv.Itoa(os.Getpid()), 2 * time.Second, false},
		{"2000000", "1", 0, false}, // of a process before this one
		{"soon", "", 0, true},
		{"-1", "", 0, true},
	} {
		t.Setenv("WATCHDOG_USEC", tc.limit)
		t.Setenv("WATCHDOG_PID", tc.pid)
		n, err := Take()
		if n.watchdog != tc.want || (err != nil) != tc.err {
			t.Errorf("%+v: got %s, %v", tc, n.watchdog, err)
		}
		for _, name := range []string{"WATCHDOG_USEC", "WATCHDOG_PID"} {
			if _, set := os.LookupEnv(name); set {
				t.Errorf("components can see %s", name)
			}
		}
	}
}

// A process that stands still, and one that hangs in the question, gives no
// sign of life; one that moves again does.
func TestOnlyTheLivingGiveASign(t *testing.T) {
	path, next := listen(t)
	n := Notifier{socket: path, watchdog: 200 * time.Millisecond}
	ctx, cancel := context.WithCancel(t.Context())
	answers, told := make(chan error), make(chan error, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.Watch(ctx, func(ctx context.Context) error {
			select {
			case err := <-answers:
				return err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}, func(err error) { told <- err })
	}()
	answers <- nil
	if got := next(10 * time.Second); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
	answers <- errors.New("no storage")
	answers <- errors.New("still none")
	if got := next(time.Millisecond); got != "" {
		t.Errorf("got %q of one that fails", got)
	}
	answers <- nil
	if got := next(10 * time.Second); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
	if err := <-told; err.Error() != "no storage" {
		t.Errorf("told %v", err)
	}
	if err := <-told; !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("told %v, want that there is no answer", err)
	}
	cancel()
	<-ended
}

func TestNoWatchdogAsksNothing(t *testing.T) {
	Notifier{}.Watch(t.Context(), nil, nil)
}
