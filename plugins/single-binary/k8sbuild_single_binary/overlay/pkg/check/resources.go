package check

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"k8sbuild.dev/distribution/pkg/lock"
)

// running says that a server has the data directory, or nothing.
func (m Machine) running() string {
	pid := lock.Holder(m.path(m.Config.DataDir))
	if pid == 0 {
		return ""
	}
	return fmt.Sprintf("a server runs (pid %d), so that its ports and other processes are not looked at", pid)
}

func (m Machine) ports() (found []Finding) {
	for _, l := range m.Config.Listeners() {
		err := m.listen(l.HostPort())
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			found = append(found, failure("stop what uses it, which `ss -ltnp` names, or give another with "+l.Flag,
				"port %d of %s is in use", l.Port, l.Component))
		case err != nil:
			found = append(found, failure("give another address or port with "+l.Flag, "%s cannot listen: %v", l.Component, err))
		}
	}
	return found
}

// disk is what a file system says of itself.
type disk struct {
	free, size uint64 // bytes
	inodes     uint64 // free ones
	kind       int64
	flags      int64
}

func diskOf(path string) (disk, error) {
	var s unix.Statfs_t
	// The directory is made at the first start: what is above it counts.
	for ; ; path = filepath.Dir(path) {
		err := unix.Statfs(path, &s)
		if errors.Is(err, unix.ENOENT) && path != "/" {
			continue
		} else if err != nil {
			return disk{}, fmt.Errorf("ask for the disk's state: %w", err)
		}
		bsize := uint64(s.Bsize)
		return disk{free: s.Bavail * bsize, size: s.Blocks * bsize, inodes: s.Ffree, kind: int64(s.Type), flags: int64(s.Flags)}, nil
	}
}

const gib = 1 << 30

// littleSpace is less than a few images and their containers take.
const littleSpace = 5 * gib

// remote are kinds of file systems on which file locks cannot be relied on.
var remote = map[int64]string{unix.NFS_SUPER_MAGIC: "NFS", unix.V9FS_MAGIC: "9p", unix.SMB_SUPER_MAGIC: "SMB", unix.CIFS_SUPER_MAGIC: "SMB", unix.SMB2_SUPER_MAGIC: "SMB"}

func (m Machine) space() (found []Finding) {
	dir := m.Config.DataDir
	d, err := m.disk(m.path(dir))
	if err != nil {
		return []Finding{failure("give another directory with --data-dir", "%s: %v", dir, err)}
	}
	other := "free some space, or give a directory on another disk with --data-dir"
	mib := func(bytes uint64) uint64 { return bytes >> 20 }
	switch {
	case d.flags&unix.ST_RDONLY != 0:
		found = append(found, failure("mount it so that it can be written, or give another directory with --data-dir", "%s is on a read-only disk", dir))
	case d.free < littleSpace:
		// The storage refuses what is too little for itself.
		found = append(found, warning(other, "%s has %d MiB free, which is little for images and data", dir, mib(d.free)))
	}
	if !m.Config.DisableAgent && d.free < d.size/100*15 {
		found = append(found, warning(other, "%s has less than 15 %% free: the kubelet removes images, and below 10 %% pods", dir))
	}
	if d.inodes == 0 && d.kind != unix.BTRFS_SUPER_MAGIC {
		found = append(found, failure(other, "%s has no inode free", dir))
	}
	if name, is := remote[d.kind]; is {
		found = append(found, warning("give a directory on a disk of this machine with --data-dir", "%s is on %s, where locks of files cannot be relied on", dir, name))
	}
	if d.kind == unix.TMPFS_MAGIC {
		found = append(found, warning("give a directory on a disk with --data-dir", "%s is in memory: all data are lost when the machine stops", dir))
	}
	if !m.Config.DisableAgent && d.flags&unix.ST_NOEXEC != 0 {
		found = append(found, failure("mount it without noexec, or give another directory with --data-dir", "%s is on a disk mounted with noexec: no container could run", dir))
	}
	if len(found) == 0 {
		return []Finding{fine("%d MiB free for %s", mib(d.free), dir)}
	}
	return found
}

// leastMemory is what a server with a node and a few pods needs.
const leastMemory = 1 * gib

func (m Machine) memory() []Finding {
	var kib uint64
	if _, err := fmt.Sscanf(m.read("proc/meminfo"), "MemTotal: %d kB", &kib); err != nil {
		return nil
	}
	if kib<<10 < leastMemory*9/10 {
		return []Finding{warning("use a machine with 1 GiB of memory or more", "%d MiB of memory are little", kib>>10)}
	}
	return []Finding{fine("%d MiB", kib>>10)}
}

func (m Machine) clock() (found []Finding) {
	now := m.now()
	fix := "set the clock, and have it kept right: timedatectl set-ntp true"
	in := &Package{"chrony or systemd-timesyncd", "chrony"}
	if now.Before(m.Built) {
		return []Finding{{Level: Error, Message: fmt.Sprintf("the clock says %s, which is before this program was made: certificates would not be valid",
			now.UTC().Format(time.DateTime)), Fix: fix, Package: in}}
	}
	if from, ok := m.validFrom(); ok && now.Before(from) {
		return []Finding{{Level: Error, Message: fmt.Sprintf("the clock says %s, and the cluster's certificates are valid from %s on",
			now.UTC().Format(time.DateTime), from.UTC().Format(time.DateTime)), Fix: fix, Package: in}}
	}
	if synced, err := m.synced(); err == nil && !synced {
		return []Finding{{Level: Warning, Message: "nothing keeps the clock right: certificates, leases and logs need the time", Fix: fix, Package: in}}
	}
	return nil
}

// validFrom is since when the cluster's authority is valid, if there is one.
func (m Machine) validFrom() (time.Time, bool) {
	files, _ := filepath.Glob(m.path(m.Config.TLSDir(), "*ca.crt"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		block, _ := pem.Decode(text)
		if block == nil {
			continue
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			return cert.NotBefore, true
		}
	}
	return time.Time{}, false
}

// Table is the findings for people, the worst ones' fixes below them.
func Table(findings []Finding) string {
	var out strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&out, "%-8s %-17s %s\n", f.Level, f.Check, f.Message)
		if f.Fix != "" {
			fmt.Fprintf(&out, "%27sfix: %s\n", "", f.Fix)
		}
	}
	return out.String()
}
