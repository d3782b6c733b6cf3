package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"k8sbuild.dev/distribution/pkg/admin"
	"k8sbuild.dev/distribution/pkg/check"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/install"
)

// Options say what is inspected.
type Options struct {
	Config *config.Config
	Layout install.Layout
	// Version is this program's, as JSON.
	Version string
	Checks  []check.Finding
	Now     time.Time
	// Lines bounds the log.
	Lines int
}

// Write writes the archive, in the form .tar.gz.
func Write(ctx context.Context, w io.Writer, o Options) error {
	client, err := admin.Client(o.Config)
	if err != nil {
		// There may be no server yet, or no more.
		client = &http.Client{Timeout: time.Second}
	}
	s := server{o.Config, client}
	secrets, unknown := s.secrets(ctx)
	redactor := NewRedactor(secrets)
	folder := "k8s-inspect-" + o.Now.UTC().Format("20060102T150405Z")
	return write(ctx, w, folder, o.Now, redactor.Redact, append(o.items(s), item{"redaction.txt", redaction(unknown)}))
}

func (o Options) items(s server) []item {
	list := []item{
		{"version.json", said(o.Version)},
		{"checks.txt", said(check.Table(o.Checks))},
		{"config.json", o.configuration},
		{"settings", file(o.Layout.Settings())},
		{"unit", file(o.Layout.Unit())},
		{"data.txt", func(context.Context) (string, error) { return sizes(o.Config.DataDir, all.parts()) }},
		{"log.txt", output("journalctl", "--unit="+install.Name, "--no-pager", "--output=short-iso-precise", "--lines="+strconv.Itoa(o.Lines))},
		{"status.txt", output("systemctl", "status", "--no-pager", "--lines=0", install.Name)},
		{"nodes.txt", s.nodes},
		{"pods.txt", s.pods},
		{"events.txt", s.events},
		{"machine/kernel.txt", file("/proc/version")},
		{"machine/memory.txt", file("/proc/meminfo")},
		{"machine/pressure.txt", file("/proc/pressure/memory")},
		{"machine/mounts.txt", file("/proc/self/mountinfo")},
		{"machine/addresses.txt", output("ip", "address")},
		{"machine/routes.txt", output("ip", "route", "show", "table", "all")},
		{"machine/sockets.txt", output("ss", "-ltnup")},
		{"machine/iptables.txt", output("iptables-save")},
		{"machine/nftables.txt", output("nft", "list", "tables")},
	}
	for _, part := range all.parts() {
		for _, name := range slices.Sorted(maps.Keys(part.Files)) {
			list = append(list, item{name, file(o.Config.Path(part.Files[name]))})
		}
	}
	for _, l := range o.Config.Listeners() {
		name := fmt.Sprintf("health/%s-%d.txt", l.Component, l.Port)
		list = append(list, item{name, func(ctx context.Context) (string, error) { return s.health(ctx, l) }})
	}
	return list
}

// redaction says what was taken out: without a server, values of Secrets are not
// known, and only what looks like a secret is.
func redaction(unknown error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		if unknown != nil {
			return "Keys, tokens and passwords are taken out by their looks alone: the values of the cluster's Secrets", unknown
		}
		return "Keys, tokens, passwords and the values of the cluster's Secrets are taken out.\n", nil
	}
}

func said(text string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return text, nil }
}

func file(path string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		text, err := os.ReadFile(path)
		return string(text), err
	}
}

// output is what a program of the machine says, if it is there.
func output(program string, args ...string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, args...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), err
	}
}

func (o Options) configuration(context.Context) (string, error) {
	text, err := json.MarshalIndent(o.Config, "", "  ")
	return string(text), err
}

// sizes are names, modes and sizes below the data directory, and nothing of
// what is in the files. Folders that a component calls large are one line each.
func sizes(dir string, parts []Part) (string, error) {
	var out strings.Builder
	inside, passing := map[string]int64{}, map[string]bool{}
	for _, part := range parts {
		for _, name := range part.Large {
			inside[filepath.Join(dir, name)] = 0
		}
		for _, name := range part.Passing {
			passing[filepath.Join(dir, name)] = true
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			fmt.Fprintf(&out, "%v\n", err)
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // it is gone
		}
		for large := range inside {
			if strings.HasPrefix(path, large+"/") {
				inside[large] += info.Size()
				return nil
			}
		}
		if passing[path] {
			return fs.SkipDir
		}
		fmt.Fprintf(&out, "%s %12d %s\n", info.Mode(), info.Size(), path)
		return nil
	})
	for _, large := range slices.Sorted(maps.Keys(inside)) {
		fmt.Fprintf(&out, "%d bytes in %s\n", inside[large], large)
	}
	return out.String(), err
}

// server is what is asked of the server that runs.
type server struct {
	cfg    *config.Config
	client *http.Client
}

func (s server) get(ctx context.Context, path string, into any) error {
	text, err := admin.Get(ctx, s.client, s.cfg.APIServerURL()+path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// health is what a component says of itself.
func (s server) health(ctx context.Context, l config.Listener) (string, error) {
	scheme, host, path := "https", l.Address, "/healthz"
	if l.Open() {
		scheme = "http"
	}
	switch {
	case l.Component == "kube-apiserver":
		host, path = s.cfg.LoopbackHost(), "/readyz?verbose"
	case unspecified(host) && len(s.cfg.NodeIPs) > 0:
		host = s.cfg.NodeIPs[0]
	}
	url := scheme + "://" + net.JoinHostPort(host, strconv.Itoa(l.Port)) + path
	text, err := admin.Get(ctx, s.client, url)
	return url + "\n" + string(text) + "\n", err
}

func unspecified(address string) bool {
	addr, err := netip.ParseAddr(address)
	return err == nil && addr.IsUnspecified()
}

// table aligns rows.
func table(rows [][]string) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush()
	return out.String()
}
