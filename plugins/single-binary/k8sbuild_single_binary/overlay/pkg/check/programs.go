package check

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/host"
	"k8sbuild.dev/distribution/pkg/lock"
)

// program is one that the node runs and that is the machine's.
type program struct {
	name    string
	level   Level
	without string
	in      Package
}

var programs = []program{
	{"iptables", Error, "kube-proxy does not start", Package{"iptables", "iptables-nft"}},
	{"iptables-save", Error, "kube-proxy does not start", Package{"iptables", "iptables-nft"}},
	{"iptables-restore", Error, "kube-proxy does not start", Package{"iptables", "iptables-nft"}},
	{"mount", Error, "the kubelet mounts no volume", Package{"mount", "util-linux-core"}},
	{"umount", Error, "the kubelet unmounts no volume", Package{"mount", "util-linux-core"}},
	{"conntrack", Warning, "UDP traffic may go on to pods that have ended", Package{"conntrack", "conntrack-tools"}},
	{"ip6tables", Warning, "there are no Services with IPv6", Package{"iptables", "iptables-nft"}},
	{"modprobe", Warning, "the kernel's modules are not loaded by themselves", Package{"kmod", "kmod"}},
	{"losetup", Warning, "block volumes do not work", Package{"mount", "util-linux"}},
}

func (m Machine) programs() (found []Finding) {
	for _, p := range programs {
		if _, err := m.look(p.name); err == nil {
			continue
		}
		in := p.in
		found = append(found, Finding{
			Level: p.level, Message: fmt.Sprintf("there is no program %s in PATH: %s", p.name, p.without),
			Fix: fmt.Sprintf("install the package %s (Debian, Ubuntu) or %s (Fedora, RHEL)", in.Debian, in.Fedora), Package: &in,
		})
	}
	return found
}

func (m Machine) rights() (found []Finding) {
	if m.UID != 0 {
		return []Finding{failure("run it as root", "only root can run a node, and see all that is looked at here")}
	}
	if may, err := host.Capable(m.path(host.StatusFile), unix.CAP_SYS_RESOURCE); err == nil && !may {
		found = append(found, warning("give CAP_SYS_RESOURCE to the container that this is",
			"without CAP_SYS_RESOURCE the kernel may end the server before pods when memory runs out, and privileged containers do not start"))
	}
	return found
}

func (m Machine) swap() []Finding {
	if strings.Count(m.read("proc/swaps"), "\n") > 0 {
		return []Finding{fine("swap is on: that is tolerated, and pods do not use it")}
	}
	return nil
}

func (m Machine) nameServers() []Finding {
	var files []string
	for _, file := range host.ResolvConfs {
		files = append(files, m.path(file))
	}
	if m.Config.Has("kubelet", "resolv-conf") || host.ResolvConf(files) != "" {
		return nil
	}
	return []Finding{warning("write a file with a name server that pods can reach, and give it with --kubelet-arg=resolv-conf=FILE",
		"%s names no server beyond loopback: the cluster's DNS would ask itself", host.ResolvConfs[0])}
}

func (m Machine) firewall() []Finding {
	if m.named("firewalld") == 0 {
		return nil
	}
	fix := fmt.Sprintf("firewall-cmd --permanent --zone=trusted --add-source=%s --add-source=%s && firewall-cmd --permanent --add-port=%d/tcp && firewall-cmd --reload",
		m.Config.ClusterCIDR, m.Config.ServiceCIDR, m.Config.HTTPSListenPort)
	return []Finding{warning(fix, "firewalld runs, and refuses what it does not know: pods may not reach each other or the API server")}
}

// distributions are programs of other Kubernetes that run a node.
var distributions = []string{"kubelet", "k3s", "k3s-server", "k0s", "rke2", "kubelite", "kube-apiserver"}

func (m Machine) others() (found []Finding) {
	for _, name := range distributions {
		if pid := m.named(name); pid > 0 {
			// It may be that of a container.
			found = append(found, warning("stop it, and remove what it leaves with its own means", "another Kubernetes runs here: %s (pid %d)", name, pid))
		}
	}
	if m.exists(m.Config.DataDir, lock.FileName) {
		return found // what else is there may be ours
	}
	if leftovers, _ := filepath.Glob(m.path(m.Config.KubeletRoot(), "pods", "*")); len(leftovers) > 0 {
		found = append(found, warning("remove it with the means of the Kubernetes that left it, such as kubeadm reset",
			"another Kubernetes left %d pods in %s", len(leftovers), m.Config.KubeletRoot()))
	}
	if m.Config.ContainerRuntimeEndpoint == "" {
		return found // our runtime does not look there
	}
	if confs, _ := filepath.Glob(m.path("etc/cni/net.d", "*.conf*")); len(confs) > 0 {
		found = append(found, warning("remove it if it is not meant for this cluster", "pods get the network of %s, which is there already", strings.Join(confs, ", ")))
	}
	return found
}

// named is the id of a process whose program has the name, or 0.
func (m Machine) named(name string) int {
	all, err := m.processes()
	if err != nil {
		return 0
	}
	at := slices.IndexFunc(all, func(p cleanup.Process) bool { return runs(p, name) })
	if at < 0 {
		return 0
	}
	return all[at].PID
}

// runs looks at the first word, or the second of a script's.
func runs(p cleanup.Process, name string) bool {
	for i, word := range p.Args {
		if i < 2 && filepath.Base(word) == name && (i == 0 || strings.Contains(filepath.Base(p.Args[0]), "python")) {
			return true
		}
	}
	return false
}
