package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"k8sbuild.dev/distribution/pkg/addons"
	registered "k8sbuild.dev/distribution/pkg/command"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
	"k8sbuild.dev/distribution/pkg/version"
)

const long = `Runs Kubernetes in one process: storage, kube-apiserver,
kube-controller-manager and kube-scheduler, and a node of it on this machine,
with kubelet and kube-proxy, which need root and a container runtime.

Each flag can also be set by an environment variable: K8S_ and the flag's name
in capitals, with _ for -. The flag wins.`

const example = `  k8s --server-mode=single --disable-agent --data-dir=/var/lib/k8s
  k8s --container-runtime-endpoint=unix:///run/containerd/containerd.sock
  k8s --server-mode=ha --disable-agent --etcd-servers=https://10.0.0.1:2379 --etcd-cafile=ca.crt
  k8s kubectl get namespaces`

// command is the process's command line.
func command() *cobra.Command {
	// kubectl parses its own flags, and making its command tree costs the
	// server time and memory.
	switch {
	case filepath.Base(os.Args[0]) == "kubectl":
		return kubectlCommand(os.Args[1:])
	case len(os.Args) > 1 && os.Args[1] == "kubectl":
		return kubectlCommand(os.Args[2:])
	}
	cfg := defaults()
	root := &cobra.Command{
		Use: "k8s", Long: long, Example: example,
		Version: version.Get().Line(),
		Args:    noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			unknown, err := config.ApplyEnv(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			if err := cfg.Complete(); err != nil {
				return err
			}
			return serve(cfg, unknown)
		},
		SilenceUsage: true, SilenceErrors: true, SuggestionsMinimumDistance: 2,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.Flags().SortFlags = false
	cfg.AddFlags(root.Flags())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w (see k8s --help)", err) })
	root.AddCommand(installCommand(), uninstallCommand(), checkCommand(), inspectCommand(), versionCommand(), &cobra.Command{
		Use: "kubectl", Short: "Run kubectl, by default as the administrator of the server on this machine",
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("kubectl must be the first argument, as in: k8s kubectl get nodes")
		},
	})
	root.AddCommand(registered.All()...)
	return root
}

// defaults is the configuration without any flag, of what is built into this binary.
func defaults() *config.Config {
	cfg := config.Default()
	cfg.Networks = server.Networks()
	cfg.Parts = append(addons.Names(), server.Optional()...)
	return cfg
}

// noCommand refuses a word that is no command, with those that may be meant.
func noCommand(cmd *cobra.Command, args []string) error {
	err := cobra.NoArgs(cmd, args)
	if err == nil {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("%w; did you mean %s?", err, strings.Join(near, " or "))
	}
	return fmt.Errorf("%w (see k8s --help)", err)
}

func versionCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := version.Get().Format(output)
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), text)
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}
