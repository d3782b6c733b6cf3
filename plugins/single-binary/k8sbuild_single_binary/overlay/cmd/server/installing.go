package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/install"
	"k8sbuild.dev/distribution/pkg/uninstall"
)

// ofServer gives a command the server's flags, as the unit's settings,
// the environment and the command line set them. All but --data-dir are left
// out of its help.
func ofServer(cmd *cobra.Command, settings string) (complete func() (*config.Config, error)) {
	cfg := defaults()
	own := pflag.NewFlagSet("server", pflag.ContinueOnError)
	cfg.AddFlags(own)
	own.VisitAll(func(f *pflag.Flag) { f.Hidden = f.Name != "data-dir" })
	cmd.Flags().AddFlagSet(own)
	return func() (*config.Config, error) {
		file, err := config.ReadEnvFile(settings)
		if err != nil {
			return nil, err
		}
		if _, err := config.ApplyEnv(own, append(file, os.Environ()...)); err != nil {
			return nil, err
		}
		cfg.DataDir, err = filepath.Abs(cfg.DataDir)
		return cfg, err
	}
}

// errNotRoot says why another user's uninstall is refused: it would find little and call that done.
var errNotRoot = errors.New("uninstall needs root, which alone sees and removes what a node leaves on the machine")

// absolute is the one way of writing the root folder: //, /. and /usr/.. are
// this system's too.
func absolute(root string) (string, error) {
	if root == "" {
		return "", errors.New("--root: must be a folder")
	}
	return filepath.Abs(root)
}

func installCommand() *cobra.Command {
	var root string
	var dry bool
	cmd := &cobra.Command{
		Use: "install", Short: "Install this program with its unit, settings, runtime and images", Args: cobra.NoArgs,
		Long: `Installs what lies beside this program in its unpacked archive: the program to
/usr/local/bin, the container runtime to /usr/local/libexec/k8s, systemd's unit
and the settings in /etc/default/k8s, which are kept where they are there, and
archives of images, into the data directory. Where there is a file SHA256SUMS
beside it, everything must match. Doing it again, with a new version too,
replaces what has changed, each file in one step.`,
	}
	cmd.Flags().StringVar(&root, "root", "/", "the system's root folder, to install into another one than this")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would become of each file, and change nothing")
	settings := install.Layout{Root: "/"}.Settings()
	complete := ofServer(cmd, settings)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := complete()
		if err != nil {
			return err
		}
		if root, err = absolute(root); err != nil {
			return err
		}
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		out := cmd.OutOrStdout()
		told := func(what, path string) { fmt.Fprintf(out, "%-9s %s\n", what, path) }
		o := install.Options{Program: self, Layout: install.Layout{Root: root}, DataDir: cfg.DataDir, Dry: dry, Told: told}
		if err := install.Install(o); err != nil {
			return err
		}
		if root == "/" && !dry {
			fmt.Fprintln(out, "next: systemctl daemon-reload && systemctl enable k8s && systemctl restart k8s")
		}
		return nil
	}
	return cmd
}

func uninstallCommand() *cobra.Command {
	var root string
	var yes, keep bool
	cmd := &cobra.Command{
		Use: "uninstall", Short: "Remove the server, its pods, its data and everything that install installed", Args: cobra.NoArgs,
		Long: `Stops the server, ends all pods, and removes what they and the server have on
this machine: processes, mounts, interfaces, packet filter rules, control
groups, the data directory and the installed files. It asks first.`,
	}
	cmd.Flags().StringVar(&root, "root", "/", "the root folder that was installed into; in another one than this system's, files alone are removed")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&keep, "keep-data", false, "keep the data directory and the settings")
	complete := ofServer(cmd, install.Layout{Root: "/"}.Settings())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := complete()
		if err != nil {
			return err
		}
		if root, err = absolute(root); err != nil {
			return err
		}
		if root == "/" && os.Geteuid() != 0 {
			return errNotRoot
		}
		o := uninstall.Options{
			Config: cfg, Layout: install.Layout{Root: root}, KeepData: keep,
			Told: func(line string) { fmt.Fprintln(cmd.OutOrStdout(), line) },
		}
		if !yes {
			if err := confirm(cmd.InOrStdin(), cmd.OutOrStdout(), warning(o)); err != nil {
				return err
			}
		}
		return uninstall.Run(cmd.Context(), o)
	}
	return cmd
}

// warning says what will be gone.
func warning(o uninstall.Options) string {
	if o.Layout.Root != "/" {
		return "This removes the installed files in " + o.Layout.Root + "."
	}
	data := "all data of the cluster in " + o.Config.DataDir
	if o.KeepData {
		data = "not the data in " + o.Config.DataDir
	}
	return "This ends the server and all its pods and removes what is theirs on this machine, " + data + "."
}

// confirm wants the word yes.
func confirm(in io.Reader, out io.Writer, warning string) error {
	fmt.Fprintf(out, "%s\nType yes to go on: ", warning)
	line, err := bufio.NewReader(in).ReadString('\n')
	if strings.TrimSpace(line) == "yes" {
		return nil
	}
	if errors.Is(err, io.EOF) {
		fmt.Fprintln(out)
	}
	return errors.New("not confirmed, nothing was removed; --yes does not ask")
}
