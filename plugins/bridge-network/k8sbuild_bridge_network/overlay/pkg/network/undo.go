package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/config"
)

// cniResults is where the CNI library keeps what plugins answered, whatever
// directory a container runtime has.
const cniResults = "/var/lib/cni/results"

// Undo removes the network from this machine: routes, interfaces, rules,
// settings of the kernel, and what CNI keeps of our pods. Nobody else's are
// touched. It does not matter whether the server has run.
func Undo(ctx context.Context, cfg *config.Config) error { return undo(ctx, cfg, cniResults) }

func undo(ctx context.Context, cfg *config.Config, results string) error {
	_, chains := cleanup.RemoveChains(ctx, goneChains)
	return errors.Join(
		setRoutes(nil), removeLink(), chains, machine(keptFile(cfg)).restore(),
		removeResults(results), removeFiles(cniFile(cfg), ipamDir(cfg), filepath.Dir(keptFile(cfg))),
	)
}

func removeFiles(paths ...string) error {
	var errs []error
	for _, path := range paths {
		errs = append(errs, os.RemoveAll(path))
	}
	return errors.Join(errs...)
}

// removeResults removes the answers about our network, of which there is one for
// each pod that nobody unplugged.
func removeResults(dir string) error {
	found, err := filepath.Glob(filepath.Join(dir, cniName+"-*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range found {
		text, err := os.ReadFile(path)
		var answer struct {
			NetworkName string `json:"networkName"`
		}
		if err == nil && json.Unmarshal(text, &answer) == nil && answer.NetworkName == cniName {
			errs = append(errs, os.Remove(path))
		} else if err != nil {
			errs = append(errs, fmt.Errorf("look at %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}
