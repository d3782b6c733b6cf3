package command

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"k8sbuild.dev/distribution/pkg/config"
)

// saying is a command that says the data directory.
func saying(name string, said *string) New {
	return func(cfg *config.Config) *cobra.Command {
		cmd := &cobra.Command{Use: name, Run: func(*cobra.Command, []string) { *said = cfg.DataDir }}
		cmd.Flags().StringVar(&cfg.DataDir, "data-dir", cfg.DataDir, "")
		return cmd
	}
}

func TestCommandsComeByNameWithTheEnvironment(t *testing.T) {
	var said string
	Register("b", saying("b", &said))
	Register("a", saying("a", &said))
	all := All()
	if len(all) != 2 || all[0].Name() != "a" || all[1].Name() != "b" {
		t.Fatalf("commands %v", all)
	}
	t.Setenv("K8S_DATA_DIR", "/from/env")
	for n, args := range [][]string{{}, {"--data-dir=/from/flag"}} {
		all[0].SetArgs(args)
		if want := []string{"/from/env", "/from/flag"}[n]; all[0].Execute() != nil || said != want {
			t.Errorf("%v: %q", args, said)
		}
	}
}

func TestASignalEndsTheContext(t *testing.T) {
	var r Registry
	r.Register("wait", func(*config.Config) *cobra.Command {
		return &cobra.Command{Use: "wait", SilenceErrors: true, SilenceUsage: true, RunE: func(cmd *cobra.Command, _ []string) error {
			if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
				return err
			}
			select {
			case <-cmd.Context().Done():
				return cmd.Context().Err()
			case <-time.After(20 * time.Second):
				return errors.New("nothing ends it")
			}
		}}
	})
	cmd := r.All()[0]
	cmd.SetArgs([]string{})
	if err := cmd.Execute(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTwoCommandsOfOneNameAreRefused(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var r Registry
	r.Register("same", saying("same", nil))
	r.Register("same", saying("same", nil))
}
