package check

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/lock"
	"k8sbuild.dev/distribution/pkg/server"
)

// good are the files of a machine on which all is well.
var good = map[string]string{
	"proc/sys/kernel/osrelease":                   "6.1.0-13-amd64\n",
	"proc/self/ns/net":                            "",
	"proc/self/ns/pid":                            "",
	"proc/self/ns/user":                           "",
	"proc/sys/kernel/seccomp/actions_avail":       "kill_process errno allow\n",
	"proc/sys/net/bridge/bridge-nf-call-iptables": "1\n",
	"proc/sys/net/netfilter/nf_conntrack_max":     "262144\n",
	"proc/sys/user/max_user_namespaces":           "15000\n",
	"proc/filesystems":                            "nodev\tproc\nnodev\toverlay\n",
	"proc/meminfo":                                "MemTotal:        4000000 kB\nMemFree: 1 kB\n",
	"proc/swaps":                                  "Filename\t\t\t\tType\n",
	"proc/self/oom_score_adj":                     "0\n",
	"proc/self/status":                            "Name:\tk8s\nCapEff:\t000001ffffffffff\n",
	"sys/fs/cgroup/cgroup.controllers":            "cpuset cpu io memory hugetlb pids\n",
	"sys/fs/cgroup/cgroup.procs":                  "",
	"etc/resolv.conf":                             "nameserver 192.0.2.53\n",
}

// machine is a good one, but for what the test changes.
func machine(t *testing.T, change func(m *Machine, files map[string]string)) Machine {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{}
	for name, text := range good {
		files[name] = text
	}
	m := Machine{
		Config: config.Default(), Root: root, Built: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		look:      func(name string) (string, error) { return "/usr/bin/" + name, nil },
		listen:    func(string) error { return nil },
		disk:      func(string) (disk, error) { return disk{free: 50 * gib, size: 100 * gib, inodes: 1000}, nil },
		synced:    func() (bool, error) { return true, nil },
		processes: func() ([]cleanup.Process, error) { return nil, nil },
		now:       func() time.Time { return time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC) },
	}
	if change != nil {
		change(&m, files)
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func bad(findings []Finding) (lines []string) {
	for _, f := range findings {
		if f.Level != OK {
			lines = append(lines, fmt.Sprintf("%s %s", f.Level, f))
		}
	}
	return lines
}

func TestGoodMachine(t *testing.T) {
	m := machine(t, nil)
	found := m.Run()
	if got := bad(found); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	if len(found) != len(checks) || m.Refusal() != nil {
		t.Errorf("%d findings, %v", len(found), m.Refusal())
	}
}

// TestFindings spoils one thing of a good machine each.
func TestFindings(t *testing.T) {
	without := func(name string) func(*Machine, map[string]string) {
		return func(_ *Machine, files map[string]string) { delete(files, name) }
	}
	with := func(name, text string) func(*Machine, map[string]string) {
		return func(_ *Machine, files map[string]string) { files[name] = text }
	}
	on := func(d disk) func(*Machine, map[string]string) {
		return func(m *Machine, _ map[string]string) { m.disk = func(string) (disk, error) { return d, nil } }
	}
	process := func(args ...string) func(*Machine, map[string]string) {
		return func(m *Machine, _ map[string]string) {
			m.processes = func() ([]cleanup.Process, error) { return []cleanup.Process{{PID: 7, Args: args}}, nil }
		}
	}
	room := disk{free: 50 * gib, size: 100 * gib, inodes: 1000}
	of := func(kind, flags int64) disk { d := room; d.kind, d.flags = kind, flags; return d }
	for want, spoil := range map[string]func(*Machine, map[string]string){
		"error kernel: Linux 4.19.0 is older than 5.3; use a newer kernel":          with("proc/sys/kernel/osrelease", "4.19.0"),
		"warning kernel: the kernel has an odd version: \"six\"":                    with("proc/sys/kernel/osrelease", "six"),
		"warning kernel: the kernel has an odd version: \"6.x.1\"":                  with("proc/sys/kernel/osrelease", "6.x.1"),
		"error kernel features: the kernel has no network namespaces":               without("proc/self/ns/net"),
		"warning kernel features: user namespaces are turned off":                   with("proc/sys/user/max_user_namespaces", "0"),
		"warning kernel features: the kernel has no overlayfs (module overlay)":     with("proc/filesystems", "nodev\tproc\n"),
		"error control groups: no controller pids (version 2)":                      with("sys/fs/cgroup/cgroup.controllers", "cpu cpuset memory"),
		"error control groups: no controller cpu, cpuset, memory, pids (version 1)": without("sys/fs/cgroup/cgroup.controllers"),
		"error control groups: control groups cannot be made":                       without("sys/fs/cgroup/cgroup.procs"),
		"error rights: only root can run a node":                                    func(m *Machine, _ map[string]string) { m.UID = 1000 },
		"warning rights: without CAP_SYS_RESOURCE":                                  with("proc/self/status", "CapEff:\t000001fffeffffff\n"),
		"warning disk: /var/lib/k8s has 4096 MiB free":                              on(disk{free: 4 * gib, size: 20 * gib, inodes: 1}),
		"warning disk: /var/lib/k8s has less than 15 % free":                        on(disk{free: 10 * gib, size: 100 * gib, inodes: 1}),
		"error disk: /var/lib/k8s is on a read-only disk":                           on(of(0, unix.ST_RDONLY)),
		"error disk: /var/lib/k8s has no inode free":                                on(disk{free: 50 * gib, size: 100 * gib}),
		"warning disk: /var/lib/k8s is on NFS":                                      on(of(unix.NFS_SUPER_MAGIC, 0)),
		"warning disk: /var/lib/k8s is in memory":                                   on(of(unix.TMPFS_MAGIC, 0)),
		"error disk: /var/lib/k8s is on a disk mounted with noexec":                 on(of(0, unix.ST_NOEXEC)),
		"error disk: /var/lib/k8s: broken": func(m *Machine, _ map[string]string) {
			m.disk = func(string) (disk, error) { return disk{}, errors.New("broken") }
		},
		"warning memory: 500 MiB of memory are little":                                      with("proc/meminfo", "MemTotal: 512000 kB\n"),
		"warning clock: nothing keeps the clock right":                                      func(m *Machine, _ map[string]string) { m.synced = func() (bool, error) { return false, nil } },
		"error clock: the clock says 1970-01-01 00:00:00, which is before this program was": func(m *Machine, _ map[string]string) { m.now = func() time.Time { return time.Unix(0, 0) } },
		"warning name servers: /etc/resolv.conf names no server beyond loopback":            with("etc/resolv.conf", "nameserver 127.0.0.53\n"),
		"warning firewall: firewalld runs":                                                  process("/usr/bin/python3", "/usr/sbin/firewalld", "--nofork"),
		"warning other Kubernetes: another Kubernetes runs here: kubelet (pid 7)":           process("/usr/bin/kubelet", "--config=x"),
		"warning other Kubernetes: another Kubernetes left 1 pods in /var/lib/kubelet":      with("var/lib/kubelet/pods/1/x", ""),
		"warning other Kubernetes: pods get the network of ": func(m *Machine, files map[string]string) {
			m.Config.ContainerRuntimeEndpoint = "unix:///x"
			files["etc/cni/net.d/10-x.conflist"] = ""
		},
		"error ports: port 10250 of kubelet is in use; stop what uses it, which `ss -ltnp` names, or give another with --kubelet-arg=port": func(m *Machine, _ map[string]string) {
			m.listen = func(address string) error {
				if strings.HasSuffix(address, ":10250") {
					return &os.SyscallError{Syscall: "bind", Err: syscall.EADDRINUSE}
				}
				return nil
			}
		},
		"error programs: there is no program iptables in PATH: kube-proxy does not start; install the package iptables (Debian, Ubuntu) or iptables-nft (Fedora, RHEL)": func(m *Machine, _ map[string]string) {
			m.look = func(name string) (string, error) {
				if name == "iptables" {
					return "", exec.ErrNotFound
				}
				return name, nil
			}
		},
	} {
		m := machine(t, spoil)
		if os.Geteuid() != 0 && strings.Contains(want, "cannot be made") {
			continue
		}
		got := bad(m.Run())
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("got %q\nwant %s", got, want)
		}
		if refused := m.Refusal() != nil; refused != strings.HasPrefix(want, "error") {
			t.Errorf("%s: refused %t", want, refused)
		}
	}
}

func TestModulesThatAreOnTheDisk(t *testing.T) {
	const dep = "lib/modules/6.1.0-13-amd64/modules.dep"
	m := machine(t, func(_ *Machine, files map[string]string) {
		delete(files, "proc/sys/net/bridge/bridge-nf-call-iptables")
		delete(files, "proc/sys/net/netfilter/nf_conntrack_max")
		files[dep] = "kernel/net/bridge/br_netfilter.ko.xz: kernel/net/bridge/bridge.ko\nkernel/net/nf_conntrack.ko:\n"
	})
	got := bad(m.Run())
	if len(got) != 1 || !strings.Contains(got[0], "modprobe br_netfilter") {
		t.Errorf("got %q", got)
	}
	m = machine(t, func(_ *Machine, files map[string]string) {
		delete(files, "proc/sys/net/netfilter/nf_conntrack_max")
		files["sys/module/nf_conntrack/refcnt"] = "1"
	})
	if got := bad(m.Run()); len(got) > 0 {
		t.Errorf("got %q", got)
	}
}

func TestControlGroupsOfVersion1(t *testing.T) {
	m := machine(t, func(_ *Machine, files map[string]string) {
		delete(files, "sys/fs/cgroup/cgroup.controllers")
		for _, controller := range needed {
			files["sys/fs/cgroup/"+controller+"/cgroup.procs"] = ""
		}
	})
	if got := m.cgroups(); len(got) != 1 || got[0].String() != ": version 1" {
		t.Errorf("got %v", got)
	}
}

func TestClockBeforeTheCertificates(t *testing.T) {
	m := machine(t, nil)
	m.Config.DataDir = "data"
	cfg := *m.Config
	cfg.DataDir, cfg.DisableAgent = m.path("data"), true
	if err := cfg.Complete(); err != nil {
		t.Fatal(err)
	}
	if _, err := certs.EnsureCluster(&cfg); err != nil {
		t.Fatal(err)
	}
	if got := m.clock(); len(got) != 1 || !strings.Contains(got[0].Message, "certificates are valid from") {
		t.Errorf("got %v", got)
	}
}

func TestServerThatRuns(t *testing.T) {
	m := machine(t, nil)
	if err := os.MkdirAll(m.path(m.Config.DataDir), 0o700); err != nil {
		t.Fatal(err)
	}
	held, err := lock.Acquire(m.path(m.Config.DataDir))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	m.listen = func(string) error { return syscall.EADDRINUSE }
	found := m.Run()
	if got := bad(found); len(got) > 0 || found[0].Check != "server" || !strings.Contains(found[0].Message, fmt.Sprint(os.Getpid())) {
		t.Errorf("got %v", found)
	}
}

func TestWithoutANode(t *testing.T) {
	m := machine(t, func(m *Machine, files map[string]string) {
		m.Config.DisableAgent = true
		clear(files)
	})
	m.UID = 1000
	if got := bad(m.Run()); len(got) > 0 {
		t.Errorf("got %q", got)
	}
}

func TestComponentsSayWhatTheyLack(t *testing.T) {
	for what, want := range map[string]string{"": "", "no queue": "error policy: no queue; load it"} {
		m := machine(t, nil)
		m.components = []server.Component{{Name: "other"}, {Name: "policy", Lacks: func() (string, string) { return what, "load it" }}}
		found := m.Run()
		if got := strings.Join(bad(found), " "); got != want || found[len(found)-1].Check != "policy" || (m.Refusal() != nil) != (want != "") {
			t.Errorf("%s: got %q", what, got)
		}
		if m.UID = 1000; len(m.Run()) != len(found)-1 {
			t.Error("asked as somebody who does not see")
		}
	}
}

func TestTable(t *testing.T) {
	got := Table([]Finding{{Check: "clock", Level: Warning, Message: "wrong", Fix: "set it"}, {Check: "disk", Level: OK, Message: "in order"}})
	want := "warning  clock             wrong\n                           fix: set it\nok       disk              in order\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// This machine is one on which tests run, whatever else is missing.
func TestThisMachine(t *testing.T) {
	m := This(config.Default(), time.Time{})
	got := bad(m.Run())
	t.Logf("%s", strings.Join(got, "\n"))
	if slices.ContainsFunc(got, func(line string) bool {
		return strings.Contains(line, "odd version") || strings.Contains(line, "no network namespaces")
	}) {
		t.Errorf("got %q", got)
	}
	if err := tryListen("127.0.0.1:0"); err != nil {
		t.Error(err)
	}
	if err := tryListen("192.0.2.1:1"); err == nil {
		t.Error("listens at another's address")
	}
	if d, err := diskOf(filepath.Join(t.TempDir(), "not", "yet")); err != nil || d.size == 0 {
		t.Errorf("got %+v, %v", d, err)
	}
}
