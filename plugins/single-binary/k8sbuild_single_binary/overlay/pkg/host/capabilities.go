package host

import (
	"fmt"
	"os"
	"strings"
)

// StatusFile is where the kernel says what this process may do.
const StatusFile = "/proc/self/status"

// Capable says whether a process has a capability, by its file of the kernel's.
func Capable(statusFile string, capability uint) (bool, error) {
	text, err := os.ReadFile(statusFile)
	if err != nil {
		return false, fmt.Errorf("read capabilities: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		var mask uint64
		if _, err := fmt.Sscanf(line, "CapEff: %x", &mask); err == nil {
			return mask&(1<<capability) != 0, nil
		}
	}
	return false, fmt.Errorf("read capabilities: %s has none", statusFile)
}
