package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8sbuild.dev/distribution/pkg/check"
	"k8sbuild.dev/distribution/pkg/config"
)

func TestCheckSaysWhatTheServerWouldSay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fake()
	cfg := configuration(t)
	port := l.Addr().(*net.TCPAddr).Port
	cfg.ServerMode, cfg.BindAddress, cfg.HTTPSListenPort = config.HA, "127.0.0.1", port
	args := []string{
		"check", "--disable-agent", "--data-dir=" + cfg.DataDir, "--bind-address=127.0.0.1", fmt.Sprintf("--https-listen-port=%d", port),
		fmt.Sprintf("--controller-manager-port=%d", cfg.ControllerManagerPort), fmt.Sprintf("--scheduler-port=%d", cfg.SchedulerPort),
	}
	text, err := execute(t, args...)
	want := fmt.Sprintf("port %d of kube-apiserver is in use", port)
	if !errors.Is(err, errUnfit) || !strings.Contains(text, want) {
		t.Errorf("got %v\n%s", err, text)
	}
	if err := serve(cfg, nil); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the server says %v", err)
	}
	text, err = execute(t, append(args, "--output=json")...)
	var said struct{ Findings []check.Finding }
	if e := json.Unmarshal([]byte(text), &said); !errors.Is(err, errUnfit) || e != nil || len(said.Findings) < 4 {
		t.Errorf("got %v, %v\n%s", err, e, text)
	}
	l.Close()
	if text, err := execute(t, args...); err != nil {
		t.Errorf("got %v\n%s", err, text)
	}
	if _, err := execute(t, append(args, "--output=xml")...); err == nil || !strings.Contains(err.Error(), "must be text or json") {
		t.Errorf("got %v", err)
	}
}

func TestCheckFindsAConfigurationThatCannotBe(t *testing.T) {
	text, err := execute(t, "check", "--disable-agent", "--data-dir="+filepath.Join(t.TempDir(), "d"), "--cluster-cidr=nonsense")
	if !errors.Is(err, errUnfit) || !strings.Contains(text, "error    configuration     --cluster-cidr=nonsense") {
		t.Errorf("got %v\n%s", err, text)
	}
}

func TestInspectWritesOneFileForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.tar.gz")
	args := []string{"inspect", "--disable-agent", "--data-dir=" + t.TempDir(), "--output=" + path, "--https-listen-port=1", "--lines=1"}
	text, err := execute(t, args...)
	if err != nil || text != path+"\n" {
		t.Errorf("got %q, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
	if _, err := execute(t, args...); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v, want that it is there already", err)
	}
	broken := filepath.Join(t.TempDir(), "b")
	if err := writeFile(broken, func(io.Writer) error { return errors.New("no") }); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(broken); err == nil {
		t.Error("half a file is left")
	}
}
