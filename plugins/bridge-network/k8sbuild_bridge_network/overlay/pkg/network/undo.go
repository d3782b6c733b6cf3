package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"k8sbuild.dev/distribution/pkg/config"
)

// cniResults is where the CNI library keeps what plugins answered, whatever
// directory a container runtime has.
const cniResults = "/var/lib/cni/results"

// Undo removes the network from this machine: routes, interfaces, rules,
// settings of the kernel, and what CNI keeps of our pods. Nobody else's are
// touched. It does not matter whether the server has run.
func Undo(_ context.Context, cfg *config.Config) error { return undo(cfg, cniResults) }

func undo(cfg *config.Config, results string) error {
	errs := []error{
		setRoutes(nil), removeLink(), machine(keptFile(cfg)).restore(),
		removeResults(results), removeFiles(cniFile(cfg), ipamDir(cfg), filepath.Dir(keptFile(cfg))),
	}
	if _, err := exec.LookPath("iptables"); err == nil {
		errs = append(errs, removeRules(programs))
	}
	return errors.Join(errs...)
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
