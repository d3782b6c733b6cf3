package check

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"k8sbuild.dev/distribution/pkg/host"
)

// oldest is the first kernel that can hold on to a process (pidfd_open), which
// is what keeps us from ending another one.
var oldest = [2]int{5, 3}

func (m Machine) kernel() []Finding {
	release := m.read("proc/sys/kernel/osrelease")
	version, err := parseRelease(release)
	if err != nil {
		return []Finding{warning("", "%v", err)}
	}
	if slices.Compare(version[:], oldest[:]) < 0 {
		return []Finding{failure("use a newer kernel", "Linux %s is older than %d.%d", release, oldest[0], oldest[1])}
	}
	return []Finding{fine("Linux %s", release)}
}

func parseRelease(release string) (version [2]int, err error) {
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 2 {
		return version, fmt.Errorf("the kernel has an odd version: %q", release)
	}
	for i := range version {
		digits := strings.TrimRightFunc(parts[i], func(r rune) bool { return r < '0' || r > '9' })
		if version[i], err = strconv.Atoi(digits); err != nil {
			return version, fmt.Errorf("the kernel has an odd version: %q", release)
		}
	}
	return version, nil
}

// feature is something that a kernel can be built without.
type feature struct {
	what string
	// file is there when the kernel has it.
	file string
	// module has it when it can be loaded, empty if there is none.
	module string
	// loads says that the kernel loads the module when it is first used.
	loads bool
	level Level
	// without is what does not work then.
	without string
}

var features = []feature{
	{"network namespaces", "proc/self/ns/net", "", false, Error, "no pod can start"},
	{"process namespaces", "proc/self/ns/pid", "", false, Error, "no pod can start"},
	{"user namespaces", "proc/self/ns/user", "", false, Warning, "pods with hostUsers: false do not start"},
	{"seccomp filters", "proc/sys/kernel/seccomp/actions_avail", "", false, Warning, "pods with a seccomp profile do not start"},
	{"overlayfs", "sys/module/overlay", "overlay", true, Warning, "images are copied for each container"},
	{"packet filters for bridges", "proc/sys/net/bridge", "br_netfilter", false, Warning, "pods of one node may not reach each other through a Service, and no network policy holds between them"},
	{"connection tracking", "proc/sys/net/netfilter/nf_conntrack_max", "nf_conntrack", true, Warning, "Services do not work"},
}

func (m Machine) features() (found []Finding) {
	for _, f := range features {
		switch {
		case m.exists(f.file) || f.module != "" && m.filesystem(f.module):
		case f.module == "":
			found = append(found, Finding{Level: f.level, Message: fmt.Sprintf("the kernel has no %s: %s", f.what, f.without), Fix: "use a kernel that has them"})
		case !m.loadable(f.module):
			found = append(found, Finding{
				Level: f.level, Message: fmt.Sprintf("the kernel has no %s (module %s): %s", f.what, f.module, f.without),
				Fix:     "install all modules of the kernel",
				Package: &Package{"linux-image-amd64 or linux-image-arm64 instead of a small one", "kernel-modules and kernel-modules-extra"},
			})
		case !f.loads:
			fix := fmt.Sprintf("modprobe %[1]s, and for the next start: echo %[1]s >>/etc/modules-load.d/k8s.conf", f.module)
			found = append(found, warning(fix, "%s are not loaded: %s", f.what, f.without))
		}
	}
	if m.read("proc/sys/user/max_user_namespaces") == "0" {
		found = append(found, warning("sysctl user.max_user_namespaces=15000", "user namespaces are turned off: pods with hostUsers: false do not start"))
	}
	return found
}

func (m Machine) filesystem(name string) bool {
	return slices.Contains(strings.Fields(m.read("proc/filesystems")), name)
}

// loadable says whether a module is in the kernel, or lies on the disk.
func (m Machine) loadable(module string) bool {
	if m.exists("sys/module", module) {
		return true
	}
	release := m.read("proc/sys/kernel/osrelease")
	for _, list := range []string{"modules.builtin", "modules.dep"} {
		text, err := os.ReadFile(m.path("lib/modules", release, list))
		if err == nil && strings.Contains(string(text), "/"+module+".ko") {
			return true
		}
	}
	return false
}

// needed are the controllers without which no kubelet starts.
var needed = []string{"cpu", "cpuset", "memory", "pids"}

func (m Machine) cgroups() []Finding {
	version, has := "1", func(controller string) bool { return m.exists("sys/fs/cgroup", controller) }
	if m.exists("sys/fs/cgroup/cgroup.controllers") {
		controllers := strings.Fields(m.read("sys/fs/cgroup/cgroup.controllers"))
		version, has = "2", func(controller string) bool { return slices.Contains(controllers, controller) }
	}
	var missing []string
	for _, controller := range needed {
		if !has(controller) {
			missing = append(missing, controller)
		}
	}
	if len(missing) > 0 {
		fix := "mount /sys/fs/cgroup, or add cgroup_enable=" + strings.Join(missing, " cgroup_enable=") + " to the kernel's command line and start the machine again"
		return []Finding{failure(fix, "no controller %s (version %s)", strings.Join(missing, ", "), version)}
	}
	if err := m.writable(version); err != nil {
		return []Finding{failure("in a container, have /sys/fs/cgroup mounted so that it can be written", "control groups cannot be made: %v", err)}
	}
	return []Finding{fine("version %s", version)}
}

// writable says whether root may make groups.
func (m Machine) writable(version string) error {
	if m.UID != 0 {
		return nil
	}
	file := m.path("sys/fs/cgroup", "cgroup.procs")
	if version == "1" {
		file = m.path("sys/fs/cgroup", "memory", "cgroup.procs")
	}
	return host.Writable(file)
}
