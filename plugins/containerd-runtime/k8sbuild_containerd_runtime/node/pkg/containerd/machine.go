package containerd

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"k8sbuild.dev/distribution/pkg/host"
)

// machine finds out what this machine decides; dir is on the disk that
// containers will be on, and exists.
func machine(dir string) conditions {
	found := conditions{snapshotter: "overlayfs"}
	if may, err := host.Capable(host.StatusFile, unix.CAP_SYS_RESOURCE); err != nil || !may {
		klog.InfoS("Without CAP_SYS_RESOURCE no container gets a negative oom_score_adj")
		found.restrictOOM = true
	}
	if info, err := os.Stat("/run/systemd/system"); err == nil && info.IsDir() {
		found.systemd = true
	}
	if err := tryOverlay(dir); err != nil {
		klog.InfoS("Images are copied for each container: the file system below has no overlays", "dir", dir, "why", err)
		found.snapshotter = "native"
	}
	return found
}

// tryOverlay mounts an overlay of empty folders, as an image's layers will be.
func tryOverlay(dir string) error {
	top, err := os.MkdirTemp(dir, "overlay-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(top)
	folders := map[string]string{}
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		folders[name] = filepath.Join(top, name)
		if err := os.Mkdir(folders[name], 0o700); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", folders["lower"], folders["upper"], folders["work"])
	if err := unix.Mount("overlay", folders["merged"], "overlay", 0, options); err != nil {
		return fmt.Errorf("mount an overlay: %w", err)
	}
	return unix.Unmount(folders["merged"], unix.MNT_DETACH)
}
