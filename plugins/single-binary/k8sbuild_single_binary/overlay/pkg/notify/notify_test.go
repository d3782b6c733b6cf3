package notify

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestReadyReachesTheServiceManagerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
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
	buf := make([]byte, 64)
	if length, err := socket.Read(buf); err != nil || string(buf[:length]) != "READY=1" {
		t.Errorf("got %q, %v", buf[:length], err)
	}
	if err := (Notifier{socket: path + "missing"}).Send("READY=1"); err == nil {
		t.Error("no error for a missing socket")
	}
	if err := (Notifier{}).Send("READY=1"); err != nil {
		t.Errorf("without a service manager: %v", err)
	}
}
