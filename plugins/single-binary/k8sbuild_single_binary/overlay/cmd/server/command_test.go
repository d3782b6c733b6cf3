package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"

	"k8sbuild.dev/distribution/pkg/config"
)

// execute runs a command line and returns what it prints.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	old := os.Args
	os.Args = append([]string{"k8s"}, args...)
	defer func() { os.Args = old }()
	cmd := command()
	var out bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.Execute()
	return out.String(), err
}

// Packages of Kubernetes add flags to the process's set when they are linked,
// and later.
func TestOnlyOwnFlags(t *testing.T) {
	pflag.CommandLine.String("foreign", "", "of a package")
	forgetForeignFlags()
	want := pflag.NewFlagSet("want", pflag.ContinueOnError)
	config.Default().AddFlags(want)
	var names []string
	want.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	cmd := command()
	if _, err := execute(t, "--help"); err != nil {
		t.Fatal(err)
	}
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(append(names, "help", "version"), f.Name) {
			t.Errorf("--%s is not ours", f.Name)
		}
	})
	if err := cmd.ParseFlags([]string{"--foreign=x"}); err == nil {
		t.Error("takes a foreign flag")
	}
}

func TestMistakesAreOneLine(t *testing.T) {
	fake()
	forgetForeignFlags()
	for want, args := range map[string][]string{
		"unknown flag: --nonsense (see k8s --help)": {"--nonsense"},
		"kubectl must be the first argument":        {"--v=1", "kubectl", "get", "nodes"},
		"--output=xml: must be text or json":        {"version", "--output=xml"},
		"--disable=dsn: no such add-on":             {"--server-mode=ha", "--disable-agent", "--disable=dsn", "--data-dir=/nonexistent"},
		`unknown command "nonsense" for "k8s" (see`: {"nonsense"},
		"did you mean version?":                     {"verison"},
	} {
		out, err := execute(t, args...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || out != "" {
			t.Errorf("%v: got %v, want %q; printed %q", args, err, want, out)
		}
	}
}

func TestVersion(t *testing.T) {
	line, err := execute(t, "--version")
	if err != nil || strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "k8s ") {
		t.Errorf("got %q, %v", line, err)
	}
	text, err := execute(t, "version", "--output=json")
	var fields map[string]string
	if err != nil || json.Unmarshal([]byte(text), &fields) != nil || fields["goVersion"] == "" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestKubectlIsTheAdministratorByDefault(t *testing.T) {
	dir := t.TempDir()
	admin := filepath.Join(dir, "admin.kubeconfig")
	t.Setenv(config.EnvName("data-dir"), dir)
	for _, tc := range []struct {
		name, set, want string
		exists          bool
	}{
		{"no server yet", "", "", false},
		{"a server", "", admin, true},
		{"the user's own", "/own", "/own", true},
	} {
		t.Setenv("KUBECONFIG", tc.set)
		if tc.exists {
			if err := os.WriteFile(admin, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		old := os.Args
		os.Args = []string{"k8s", "kubectl", "get", "nodes"}
		cmd := command()
		if got := os.Getenv("KUBECONFIG"); got != tc.want || cmd.Name() != "kubectl" || !slices.Equal(os.Args, []string{"kubectl", "get", "nodes"}) {
			t.Errorf("%s: %s with %q and %v", tc.name, cmd.Name(), got, os.Args)
		}
		os.Args = old
	}
}

func TestKubectlWithoutAServerSaysSoInOneLine(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(config.EnvName("data-dir"), dir)
	for _, name := range []string{"KUBECONFIG", "KUBERNETES_MASTER", "KUBERNETES_SERVICE_HOST"} {
		t.Setenv(name, "")
	}
	home := clientcmd.RecommendedHomeFile
	clientcmd.RecommendedHomeFile = filepath.Join(dir, "none")
	defer func() { clientcmd.RecommendedHomeFile = home }()
	for _, tc := range []struct {
		args    []string
		refused bool
	}{
		{[]string{"get", "nodes"}, true},
		{[]string{"auth", "whoami"}, true},
		{[]string{"get", "nodes", "--server=https://localhost:1"}, false},
		{[]string{"get", "nodes", "--kubeconfig=" + filepath.Join(dir, "own")}, false},
		{[]string{"version", "--client"}, false},
		{[]string{"config", "view"}, false},
		{[]string{"create", "namespace", "x", "--dry-run=client"}, false},
	} {
		old := os.Args
		os.Args = append([]string{"k8s", "kubectl"}, tc.args...)
		cmd := command()
		os.Args = old
		sub, rest, err := cmd.Find(tc.args)
		if err != nil || sub.ParseFlags(rest) != nil {
			t.Fatal(tc.args, err)
		}
		err = cmd.PersistentPreRunE(sub, sub.Flags().Args())
		if (err != nil) != tc.refused {
			t.Errorf("%v: %v", tc.args, err)
		}
		if tc.refused && (!strings.Contains(err.Error(), filepath.Join(dir, "admin.kubeconfig")) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%v: %v", tc.args, err)
		}
	}
}
