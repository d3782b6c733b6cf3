package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/config"
)

// clean ends what outlives the server: containerd, its shims and the containers
// below them. It removes what they leave outside of the data directory.
func clean(ctx context.Context, cfg *config.Config) error {
	l := layout{dir: cfg.Path("containerd")}
	if pid, ours := l.remembered(); ours {
		if err := cleanup.End(ctx, pid, endLimit); err != nil {
			return err
		}
	}
	if _, err := cleanup.KillBelow(ctx, l.isShim); err != nil {
		return err
	}
	if err := removeSockets(l.sockets()); err != nil {
		return err
	}
	if err := forget(cniDir, l.sandboxes()); err != nil {
		return err
	}
	_, err := cleanup.UnmountBelow(l.dir)
	return err
}

// isShim knows our shims by containerd's socket: their program may be that of
// an earlier version.
func (l layout) isShim(p cleanup.Process) bool {
	if len(p.Args) == 0 || filepath.Base(p.Args[0]) != "containerd-shim-runc-v2" {
		return false
	}
	at := slices.Index(p.Args, "-address")
	return at > 0 && at+1 < len(p.Args) && p.Args[at+1] == l.socket()
}

// sockets are those of the shims, which are in a folder of the machine's
// whatever the configuration says.
func (l layout) sockets() (paths []string) {
	files, _ := filepath.Glob(l.path("state/io.containerd.runtime.v2.task/*/*/bootstrap.json"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var shim struct {
			Address string `json:"address"`
		}
		if json.Unmarshal(text, &shim) == nil && strings.HasPrefix(shim.Address, "unix://") {
			paths = append(paths, strings.TrimPrefix(shim.Address, "unix://"))
		}
	}
	return paths
}

// removeSockets removes the sockets, and the folders around them that nobody
// else uses.
func removeSockets(paths []string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if os.Remove(filepath.Dir(path)) == nil {
			_ = os.Remove(filepath.Dir(filepath.Dir(path)))
		}
	}
	return nil
}

// cniDir is where CNI and its plugin host-local keep what pods have, unless
// their configuration says otherwise.
const cniDir = "/var/lib/cni"

// sandboxes are the ids of the pods, under which their networks know them.
func (l layout) sandboxes() map[string]bool {
	ids := map[string]bool{}
	folders, _ := filepath.Glob(l.path("root/*/sandboxes/*"))
	for _, folder := range folders {
		ids[filepath.Base(folder)] = true
	}
	return ids
}

// forget removes what is kept of pods whose networks were not asked to give
// anything back: results, and addresses of a network that a user brought.
func forget(dir string, ids map[string]bool) error {
	results, _ := filepath.Glob(filepath.Join(dir, "results", "*"))
	leases, _ := filepath.Glob(filepath.Join(dir, "networks", "*", "*"))
	for _, file := range append(results, leases...) {
		if !ids[owner(file)] {
			continue
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	if os.Remove(filepath.Join(dir, "results")) == nil {
		_ = os.Remove(dir)
	}
	return nil
}

// owner is the pod that a file is about: said in a result's JSON, or in the
// first line of an address.
func owner(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	var result struct {
		ContainerID string `json:"containerId"`
	}
	if json.Unmarshal(text, &result) == nil {
		return result.ContainerID
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}
