package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/install"
	"k8sbuild.dev/distribution/pkg/uninstall"
)

func TestInstallWantsTheWholeArchive(t *testing.T) {
	_, err := execute(t, "install", "--root="+t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "unpack the whole archive") {
		t.Errorf("got %v", err)
	}
}

func TestUninstallAsks(t *testing.T) {
	root := t.TempDir()
	program := install.Layout{Root: root}.Program()
	for _, tc := range []struct {
		in   string
		args []string
		gone bool
	}{
		{"", nil, false},
		{"no\n", nil, false},
		{"yes\n", nil, true},
		{"", []string{"--yes"}, true},
	} {
		if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(program, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := uninstallCommand()
		var out bytes.Buffer
		cmd.SetIn(strings.NewReader(tc.in))
		cmd.SetOut(&out)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(append([]string{"--root=" + root}, tc.args...))
		err := cmd.Execute()
		_, stat := os.Stat(program)
		if gone := stat != nil; gone != tc.gone || (err == nil) != tc.gone {
			t.Errorf("%+v: gone %t, %v", tc, gone, err)
		}
		if asked := strings.Contains(out.String(), "Type yes"); asked == (tc.args != nil) {
			t.Errorf("%+v: said %q", tc, out.String())
		}
	}
}

// However it is written, this system's root is never taken for a staged one.
func TestRootIsOneFolder(t *testing.T) {
	for root, want := range map[string]string{"/": "/", "//": "/", "/.": "/", "/usr/..": "/", "/stage/": "/stage"} {
		if got, err := absolute(root); err != nil || got != want {
			t.Errorf("%s: got %s, %v", root, got, err)
		}
	}
	for _, name := range []string{"install", "uninstall"} {
		if _, err := execute(t, name, "--root="); err == nil || !strings.Contains(err.Error(), "--root") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestUninstallOfThisSystemNeedsRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("SKIPPED: these tests run as root, who may: that others are refused is NOT tried")
	}
	for _, root := range []string{"/", "//"} {
		if _, err := execute(t, "uninstall", "--root="+root); !errors.Is(err, errNotRoot) {
			t.Errorf("got %v", err)
		}
	}
}

func TestWarningNamesWhatGoes(t *testing.T) {
	cfg := config.Default()
	for want, o := range map[string]uninstall.Options{
		"all data of the cluster in /var/lib/k8s": {Config: cfg, Layout: install.Layout{Root: "/"}},
		"not the data in /var/lib/k8s":            {Config: cfg, Layout: install.Layout{Root: "/"}, KeepData: true},
		"the installed files in /stage":           {Config: cfg, Layout: install.Layout{Root: "/stage"}},
	} {
		if got := warning(o); !strings.Contains(got, want) {
			t.Errorf("got %q", got)
		}
	}
}

// What the unit has in its settings holds for a command that an administrator
// runs; the environment and the command line win.
func TestCommandsKnowTheUnitsSettings(t *testing.T) {
	settings := filepath.Join(t.TempDir(), "k8s")
	if err := os.WriteFile(settings, []byte("K8S_DATA_DIR=/of/the/file\nK8S_HTTPS_LISTEN_PORT=7443\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		env, flag, want string
	}{
		{"", "", "/of/the/file"},
		{"/of/the/env", "", "/of/the/env"},
		{"/of/the/env", "/of/the/line", "/of/the/line"},
	} {
		t.Setenv(config.EnvName("data-dir"), tc.env)
		cmd := &cobra.Command{Run: func(*cobra.Command, []string) {}}
		complete := ofServer(cmd, settings)
		if tc.flag != "" {
			cmd.SetArgs([]string{"--data-dir=" + tc.flag})
		} else {
			cmd.SetArgs(nil)
		}
		if err := cmd.Execute(); err != nil {
			t.Fatal(err)
		}
		cfg, err := complete()
		if err != nil || cfg.DataDir != tc.want || cfg.HTTPSListenPort != 7443 {
			t.Errorf("%+v: got %s, %d, %v", tc, cfg.DataDir, cfg.HTTPSListenPort, err)
		}
		if strings.Contains(cmd.UsageString(), "--scheduler-port") || !strings.Contains(cmd.UsageString(), "--data-dir") {
			t.Errorf("help: %s", cmd.UsageString())
		}
	}
}

func TestTheLinkIsKubectl(t *testing.T) {
	old := os.Args
	defer func() { os.Args = old }()
	os.Args = []string{"/usr/local/bin/kubectl", "get", "nodes"}
	if cmd := command(); cmd.Name() != "kubectl" || len(os.Args) != 3 {
		t.Errorf("got %s with %v", cmd.Name(), os.Args)
	}
}

func TestCompletion(t *testing.T) {
	out, err := execute(t, "completion", "bash")
	if err != nil || !strings.Contains(out, "__start_k8s") {
		t.Errorf("got %.80q, %v", out, err)
	}
}
