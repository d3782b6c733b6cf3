// Package notify tells systemd that the server is ready.
package notify

import (
	"fmt"
	"net"
	"os"
)

// Notifier speaks to the service manager that started this process.
type Notifier struct{ socket string }

// Take reads the service manager's socket from the environment and removes it,
// so that no component reports itself ready for all.
func Take() (Notifier, error) {
	n := Notifier{socket: os.Getenv("NOTIFY_SOCKET")}
	if err := os.Unsetenv("NOTIFY_SOCKET"); err != nil {
		return n, fmt.Errorf("unset NOTIFY_SOCKET: %w", err)
	}
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
