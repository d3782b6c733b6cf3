// Package notify tells systemd that the server is ready, and that it is alive.
package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// Notifier speaks to the service manager that started this process.
type Notifier struct {
	socket string
	// watchdog is how long the service manager waits for a sign of life before
	// it ends this process; zero for ever.
	watchdog time.Duration
}

// pings is how many signs of life a healthy process gives in the time in which
// there must be one.
const pings = 4

// Take reads what the service manager says from the environment and removes it,
// so that no component reports itself ready, or alive, for all.
func Take() (Notifier, error) {
	n := Notifier{socket: os.Getenv("NOTIFY_SOCKET")}
	limit, pid := os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID")
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if err := os.Unsetenv(name); err != nil {
			return n, fmt.Errorf("unset %s: %w", name, err)
		}
	}
	if limit == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n, nil
	}
	micros, err := strconv.ParseInt(limit, 10, 64)
	if err != nil || micros <= 0 {
		return n, fmt.Errorf("WATCHDOG_USEC=%s: must be microseconds", limit)
	}
	n.watchdog = time.Duration(micros) * time.Microsecond
	return n, nil
}

// Send sends a state, for example "READY=1". Without a service manager it does nothing.
func (n Notifier) Send(state string) error {
	if n.socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

// Watch gives a sign of life as long as alive says so in time, until ctx is
// over. What keeps it from that is told to failed, once each time that it
// begins. Without a watchdog it returns at once.
func (n Notifier) Watch(ctx context.Context, alive func(context.Context) error, failed func(error)) {
	if n.watchdog == 0 {
		return
	}
	interval := n.watchdog / pings
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for well := true; ; {
		err := n.ping(ctx, interval, alive)
		if err != nil && well && ctx.Err() == nil {
			failed(err)
		}
		well = err == nil
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (n Notifier) ping(ctx context.Context, limit time.Duration, alive func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errors.New("no answer in time"))
	defer cancel()
	if err := alive(ctx); err != nil {
		return err
	}
	return n.Send("WATCHDOG=1")
}
