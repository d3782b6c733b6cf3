package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	kubectl "k8s.io/kubectl/pkg/cmd"

	"k8sbuild.dev/distribution/pkg/config"
)

// kubectlCommand is kubectl with the admin kubeconfig where none is named.
func kubectlCommand(args []string) *cobra.Command {
	os.Args = append([]string{"kubectl"}, args...)
	missing := useAdmin()
	cmd := kubectl.NewDefaultKubectlCommand()
	cmd.SilenceErrors = true
	before := cmd.PersistentPreRunE
	cmd.PersistentPreRunE = func(sub *cobra.Command, args []string) error {
		if missing != nil && asksServer(sub) && !namesServer(sub) {
			sub.SilenceUsage = true
			return fmt.Errorf("no server's admin kubeconfig: %w (set %s to the server's data directory, or KUBECONFIG)",
				missing, config.EnvName("data-dir"))
		}
		return before(sub, args)
	}
	return cmd
}

// useAdmin sets KUBECONFIG to the admin kubeconfig, or tells why it cannot be
// read.
func useAdmin() error {
	if os.Getenv("KUBECONFIG") != "" {
		return nil
	}
	cfg := config.Default()
	if dir := os.Getenv(config.EnvName("data-dir")); dir != "" {
		cfg.DataDir = dir
	}
	f, err := os.Open(cfg.AdminKubeconfig())
	if err != nil {
		return err
	}
	f.Close()
	return os.Setenv("KUBECONFIG", cfg.AdminKubeconfig())
}

// asksServer tells whether a command of kubectl always talks to a server, as
// far as is known beforehand: others may work on files alone.
func asksServer(cmd *cobra.Command) bool {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	return slices.Contains([]string{
		"api-resources", "api-versions", "attach", "auth", "cluster-info", "cp", "debug", "delete", "describe", "diff",
		"edit", "events", "exec", "explain", "get", "logs", "port-forward", "proxy", "top", "wait",
	}, cmd.Name())
}

// namesServer tells whether a command says itself, or kubectl's own file or
// the pod that it runs in, which server is meant.
func namesServer(cmd *cobra.Command) bool {
	if _, err := os.Stat(clientcmd.RecommendedHomeFile); err == nil {
		return true
	}
	return cmd.Flags().Changed("kubeconfig") || cmd.Flags().Changed("server") ||
		os.Getenv("KUBERNETES_MASTER") != "" || os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}
