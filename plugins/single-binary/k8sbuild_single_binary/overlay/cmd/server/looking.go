package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"k8sbuild.dev/distribution/pkg/check"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/inspect"
	"k8sbuild.dev/distribution/pkg/install"
	"k8sbuild.dev/distribution/pkg/version"
)

// errUnfit ends `k8s check` with an exit code of 1; what is wrong is printed.
var errUnfit = errors.New("this machine cannot run the server as it is, see the errors above")

func checkCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "check", Short: "Look whether this machine can run the server, and how to get what it lacks", Args: cobra.NoArgs,
		Long: `Looks at the kernel, control groups, programs, ports, disk, memory, clock, name
servers and other Kubernetes on this machine. Each finding has a fix. The exit
code is 1 where there is an error: the server would refuse to start with the
same words. It takes the server's flags, and knows the unit's settings.`,
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	complete := ofServer(cmd, install.Layout{Root: "/"}.Settings())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := complete()
		if err != nil {
			return err
		}
		findings := lookAt(cfg)
		text, err := format(findings, output)
		if err != nil {
			return err
		}
		fmt.Fprint(cmd.OutOrStdout(), text)
		for _, f := range findings {
			if f.Level == check.Error {
				return errUnfit
			}
		}
		return nil
	}
	return cmd
}

// lookAt makes all checks; a configuration that cannot be is one finding more.
func lookAt(cfg *config.Config) []check.Finding {
	var findings []check.Finding
	if err := cfg.Complete(); err != nil {
		findings = append(findings, check.Finding{Check: "configuration", Level: check.Error, Message: err.Error()})
	}
	return append(findings, thisMachine(cfg).Run()...)
}

func thisMachine(cfg *config.Config) check.Machine {
	// A program that was not built by a build has no date, which is no reason to refuse anything.
	built, _ := time.Parse(time.RFC3339, version.BuildDate)
	return check.This(cfg, built)
}

func inspectCommand() *cobra.Command {
	var to string
	var lines int
	cmd := &cobra.Command{
		Use: "inspect", Short: "Write an archive for those who help: versions, settings, logs and state, without secrets", Args: cobra.NoArgs,
		Long: `Writes what this server and its machine say of themselves to an archive
(.tar.gz): version, settings, results of check, the unit's log, health of the
components, nodes, pods and events in brief, sizes of the data directory,
addresses, mounts and packet filter rules. Private keys, tokens, passwords and
values of Secrets are taken out, wherever they are. Look at it before you give
it away all the same: names and addresses are in it.`,
	}
	cmd.Flags().StringVarP(&to, "output", "o", "", "file to write (default: k8s-inspect-TIME.tar.gz in this folder)")
	cmd.Flags().IntVar(&lines, "lines", 20000, "lines of the log, the newest ones")
	layout := install.Layout{Root: "/"}
	complete := ofServer(cmd, layout.Settings())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := complete()
		if err != nil {
			return err
		}
		now := time.Now()
		findings := lookAt(cfg)
		about, err := version.Get().Format("json")
		if err != nil {
			return err
		}
		if to == "" {
			to = "k8s-inspect-" + now.UTC().Format("20060102T150405Z") + ".tar.gz"
		}
		o := inspect.Options{Config: cfg, Layout: layout, Version: about, Checks: findings, Now: now, Lines: lines}
		if err := writeFile(to, func(w io.Writer) error { return inspect.Write(cmd.Context(), w, o) }); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), to)
		return nil
	}
	return cmd
}

// writeFile writes a file that its owner alone can read, or none.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func format(findings []check.Finding, output string) (string, error) {
	switch output {
	case "text":
		return check.Table(findings), nil
	case "json":
		text, err := json.MarshalIndent(map[string]any{"findings": findings}, "", "  ")
		return string(text) + "\n", err
	}
	return "", fmt.Errorf("--output=%s: must be text or json", output)
}
