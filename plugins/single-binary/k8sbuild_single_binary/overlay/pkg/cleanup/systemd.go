package cleanup

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Systemctl asks systemd for something. Where it is not this machine's init,
// there is nothing to ask for.
func Systemctl(ctx context.Context, args ...string) error {
	return systemctl(ctx, "/run/systemd/system", args...)
}

// systemctl takes a folder that is there where systemd runs, as sd_booted does.
func systemctl(ctx context.Context, runs string, args ...string) error {
	if info, err := os.Stat(runs); err != nil || !info.IsDir() {
		return nil
	}
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
