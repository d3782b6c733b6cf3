package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// ownGroup is where the processes of the root cgroup go.
const ownGroup = "k8s-init"

// Cgroups is the machine's tree of control groups.
type Cgroups struct {
	// Root is where it is mounted.
	Root string
	// Self says in which group this process is, see cgroups(7).
	Self string
}

// MachineCgroups are this machine's.
func MachineCgroups() Cgroups { return Cgroups{"/sys/fs/cgroup", "/proc/self/cgroup"} }

// Unified says whether there is one tree for all controllers (version 2).
func (c Cgroups) Unified() bool {
	_, err := os.Stat(filepath.Join(c.Root, "cgroup.controllers"))
	return err == nil
}

// Prepare makes room for the pods' groups beside this process: in version 2 a
// group has either processes or groups with controllers. In a container, the
// root that we see has processes, which go to a group of their own. It returns
// what it did, and does nothing in version 1.
func (c Cgroups) Prepare() (did []string, err error) {
	if !c.Unified() {
		return nil, nil
	}
	self, err := os.ReadFile(c.Self)
	if err != nil {
		return nil, fmt.Errorf("which cgroup this process is in: %w", err)
	}
	if strings.TrimSpace(string(self)) == "0::/" {
		moved, err := c.leaveRoot()
		if err != nil {
			return nil, fmt.Errorf("leave the root cgroup: %w", err)
		}
		did = append(did, fmt.Sprintf("moved %d processes from the root cgroup to /%s", moved, ownGroup))
	}
	enabled, err := c.enableControllers()
	if err != nil {
		return did, fmt.Errorf("enable cgroup controllers: %w", err)
	}
	if len(enabled) > 0 {
		did = append(did, "enabled the cgroup controllers "+strings.Join(enabled, ", "))
	}
	return did, nil
}

// leaveRoot moves all processes, as often as new ones are there.
func (c Cgroups) leaveRoot() (moved int, err error) {
	to := filepath.Join(c.Root, ownGroup)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return 0, err
	}
	seen := map[string]bool{}
	for {
		pids, err := words(filepath.Join(c.Root, "cgroup.procs"))
		if err != nil {
			return moved, err
		}
		// Kernel threads stay where they are.
		pids = slices.DeleteFunc(pids, func(pid string) bool { return seen[pid] })
		if len(pids) == 0 {
			return moved, nil
		}
		for _, pid := range pids {
			seen[pid] = true
			err := put(filepath.Join(to, "cgroup.procs"), pid)
			switch {
			case err == nil:
				moved++
			case !errors.Is(err, syscall.ESRCH) && !errors.Is(err, syscall.EINVAL):
				return moved, err
			}
		}
	}
}

// enableControllers gives the pods' groups every controller that there is.
func (c Cgroups) enableControllers() (enabled []string, err error) {
	all, err := words(filepath.Join(c.Root, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	control := filepath.Join(c.Root, "cgroup.subtree_control")
	on, err := words(control)
	if err != nil {
		return nil, err
	}
	for _, controller := range all {
		if slices.Contains(on, controller) {
			continue
		}
		if err := put(control, "+"+controller); err != nil {
			return enabled, fmt.Errorf("%s: %w", controller, err)
		}
		enabled = append(enabled, controller)
	}
	return enabled, nil
}

func words(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	return strings.Fields(string(text)), err
}

// put writes to a file of the kernel, which is there already.
func put(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
