package containerd

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
)

// layout is where everything of the runtime is.
type layout struct {
	dir     string // of this runtime alone, below the data directory
	libexec string // the programs
	// usersNetwork: the user brings the pods' network.
	usersNetwork bool
}

func (l layout) path(name string) string    { return filepath.Join(l.dir, name) }
func (l layout) program(name string) string { return filepath.Join(l.libexec, name) }
func (l layout) socket() string             { return l.path("containerd.sock") }
func (l layout) configFile() string         { return l.path("config.toml") }
func (l layout) pidFile() string            { return l.path("containerd.pid") }

// cni is where the CNI plugins and their configuration are. What users bring
// puts them where other distributions have them.
func (l layout) cni() (plugins, networks string) {
	if l.usersNetwork {
		return "/opt/cni/bin", "/etc/cni/net.d"
	}
	return l.libexec, filepath.Join(filepath.Dir(l.dir), "cni", "net.d")
}

// conditions are what this machine decides of the configuration.
type conditions struct {
	// restrictOOM: negative scores cannot be given, so what asks for them gets
	// the best that can.
	restrictOOM bool
	// systemd: cgroups are made by asking systemd, whose tree it is.
	systemd bool
	// snapshotter: overlayfs where the data directory's file system can.
	snapshotter string
}

// config is the text of containerd's configuration. Everything that containerd
// would put elsewhere on the machine is below the data directory.
func (l layout) config(given conditions) string {
	q := strconv.Quote
	plugins, networks := l.cni()
	return fmt.Sprintf(`# Written at each start of the server; changes are lost.
version = 3
root = %s
state = %s
disabled_plugins = ["io.containerd.nri.v1.nri"]

[grpc]
address = %s

[plugins."io.containerd.internal.v1.opt"]
path = %s

[plugins."io.containerd.cri.v1.images"]
snapshotter = %s

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = %s

[[plugins."io.containerd.transfer.v1.local".unpack_config]]
platform = %s
snapshotter = %s

[plugins."io.containerd.cri.v1.images".registry]
config_path = %s

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = %t
netns_mounts_under_state_dir = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dir = %s
conf_dir = %s
use_internal_loopback = true

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = %s

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = %s
Root = %s
SystemdCgroup = %t
`, q(l.path("root")), q(l.path("state")), q(l.socket()), q(l.path("opt")), q(given.snapshotter),
		q(sandboxImage), q(runtime.GOOS+"/"+runtime.GOARCH), q(given.snapshotter), q(l.path("certs.d")),
		given.restrictOOM, q(plugins), q(networks),
		q(l.program("containerd-shim-runc-v2")), q(l.program("runc")), q(l.path("runc")), given.systemd)
}
