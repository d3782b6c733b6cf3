package kine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"k8sbuild.dev/distribution/pkg/config"
)

// dbCommand is k8s db.
func dbCommand(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{
		Use: "db", Short: "Look at the database of a server, or make it smaller",
		// Without these, cobra answers a misspelt command with the help and no error.
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&cfg.DataDir, "data-dir", cfg.DataDir, "the server's data directory")
	cmd.AddCommand(statusCommand(cfg), checkCommand(cfg), vacuumCommand(cfg))
	return cmd
}

func statusCommand(cfg *config.Config) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "status", Short: "Say what is in the database; the server may run", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := statusOf(cmd.Context(), cfg.DBDir())
			if err != nil {
				return err
			}
			return status.print(cmd.OutOrStdout(), output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func checkCommand(cfg *config.Config) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Look through the whole database for damage; the server may run", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := filepath.Join(cfg.DBDir(), databaseFile)
			if err := verify(cmd.Context(), path); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is in order\n", path)
			return nil
		},
	}
}

func vacuumCommand(cfg *config.Config) *cobra.Command {
	return &cobra.Command{
		Use: "vacuum", Short: "Give free pages of the database back to the file system; the server must not run", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			before, after, err := vacuum(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d MiB before, %d MiB now\n", before/mebibyte, after/mebibyte)
			return nil
		},
	}
}

// backupCommand is k8s backup.
func backupCommand(cfg *config.Config) *cobra.Command {
	var passphrase string
	var include []string
	cmd := &cobra.Command{
		Use: "backup FILE", Args: oneFile,
		Short: "Write the cluster's state, keys and certificates to a file; the server may run",
		RunE: func(cmd *cobra.Command, args []string) error {
			secret, err := readPassphrase(passphrase)
			if err != nil {
				return err
			}
			made, err := backup(cmd.Context(), cfg, args[0], include, secret)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s holds %d files at revision %d\n", args[0], len(made.Files), made.Revision)
			return nil
		},
	}
	cmd.Flags().StringVar(&cfg.DataDir, "data-dir", cfg.DataDir, "the server's data directory")
	cmd.Flags().StringVar(&passphrase, "passphrase-file", "", "seal the backup with the passphrase in this file (- for standard input)")
	cmd.Flags().StringSliceVar(&include, "include", nil, "a further file to keep, such as that of --encryption-provider-config; may be repeated")
	return cmd
}

// restoreCommand is k8s restore.
func restoreCommand(cfg *config.Config) *cobra.Command {
	var passphrase string
	var force bool
	cmd := &cobra.Command{
		Use: "restore FILE", Args: oneFile,
		Short: "Put a backup in place of the cluster's state, keys and certificates; the server must not run",
		RunE: func(cmd *cobra.Command, args []string) error {
			secret, err := readPassphrase(passphrase)
			if err != nil {
				return err
			}
			done, err := restore(cmd.Context(), cfg, args[0], secret, force)
			if err != nil {
				return err
			}
			for _, line := range done {
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&cfg.DataDir, "data-dir", cfg.DataDir, "the server's data directory")
	cmd.Flags().StringVar(&passphrase, "passphrase-file", "", "the passphrase's file, of a sealed backup (- for standard input)")
	cmd.Flags().BoolVar(&force, "force", false, "move a cluster that is there aside")
	return cmd
}

// migrateCommand is k8s migrate.
func migrateCommand(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Args: cobra.NoArgs,
		Short: "Copy the cluster's state to an empty etcd, for --server-mode=ha; the server must not run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return migrate(cmd.Context(), cfg, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.DataDir, "data-dir", cfg.DataDir, "the server's data directory")
	flags.StringSliceVar(&cfg.EtcdServers, "etcd-servers", cfg.EtcdServers, "the etcd")
	flags.StringVar(&cfg.EtcdCAFile, "etcd-cafile", "", "CA certificate file of the etcd")
	flags.StringVar(&cfg.EtcdCertFile, "etcd-certfile", "", "client certificate file for the etcd")
	flags.StringVar(&cfg.EtcdKeyFile, "etcd-keyfile", "", "client key file for the etcd")
	return cmd
}

func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name one file: %s", cmd.UseLine())
	}
	return nil
}

// readPassphrase is the first line of the file at path, nothing if none is named.
func readPassphrase(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	content, err := readNamed(path)
	if err != nil {
		return nil, fmt.Errorf("--passphrase-file: %w", err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	if line = strings.TrimRight(line, "\r"); line == "" {
		return nil, errors.New("--passphrase-file: its first line is empty")
	}
	return []byte(line), nil
}

func readNamed(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

func (s *status) print(w io.Writer, output string) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(s)
	case "text":
		running := map[bool]string{true: "runs", false: "does not run"}[s.Running]
		_, err := fmt.Fprintf(w, "%s: the server %s\n%d MiB, %d MiB of it free; log %d MiB%s\n%d keys in %d revisions; revision %d, compacted to %d\n",
			s.Path, running, s.DatabaseBytes/mebibyte, s.FreeBytes/mebibyte, s.LogBytes/mebibyte, s.limit(),
			s.Keys, s.Rows, s.Revision, s.CompactRevision)
		return err
	}
	return fmt.Errorf("--output=%s: must be text or json", output)
}

// limit is what the text says of the database's limit.
func (s *status) limit() (text string) {
	if s.MaxBytes > 0 {
		text = fmt.Sprintf("; at most %d MiB", s.MaxBytes/mebibyte)
	}
	if s.Refusal != "" {
		text += "\ncreates and updates are refused: " + s.Refusal
	}
	return text
}
