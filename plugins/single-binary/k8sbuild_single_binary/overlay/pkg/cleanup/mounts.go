package cleanup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// UnmountBelow unmounts everything below a folder, the last one first, and
// returns how many mounts there were. A disk that is mounted at the folder
// itself is the user's.
func UnmountBelow(dir string) (int, error) {
	return unmountBelow("/proc/self/mountinfo", dir, func(path string) error {
		return unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	})
}

func unmountBelow(mountinfo, dir string, unmount func(string) error) (int, error) {
	points, err := mountsBelow(mountinfo, dir)
	var errs []error
	for _, point := range slices.Backward(points) {
		// A mount that went with the one above it is gone already.
		if err := unmount(point); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return len(points), errors.Join(append(errs, err)...)
}

// MountsBelow are the places below a folder where something is mounted, in the
// order in which it was.
func MountsBelow(dir string) ([]string, error) { return mountsBelow("/proc/self/mountinfo", dir) }

func mountsBelow(mountinfo, dir string) ([]string, error) {
	text, err := os.ReadFile(mountinfo)
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	var points []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := unescape(fields[4])
		if strings.HasPrefix(point, strings.TrimSuffix(dir, "/")+"/") {
			points = append(points, point)
		}
	}
	return points, nil
}

// unescape undoes what the kernel does to spaces and the like: \ and three
// octal digits.
func unescape(path string) string {
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '\\' && i+3 < len(path) {
			if code, err := strconv.ParseUint(path[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		out.WriteByte(path[i])
	}
	return out.String()
}
