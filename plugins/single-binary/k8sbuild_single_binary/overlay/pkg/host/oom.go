package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// OOMScoreAdj is what this process asks for: pods are ended first.
const OOMScoreAdj = -999

// OOMFile is where the kernel keeps this process's own.
const OOMFile = "/proc/self/oom_score_adj"

// SetOOMScoreAdj asks for OOMScoreAdj and returns what holds then. A machine may
// forbid it, which is no error but the second result.
func SetOOMScoreAdj(file string) (now int, forbidden bool, err error) {
	err = put(file, strconv.Itoa(OOMScoreAdj))
	if forbidden = errors.Is(err, fs.ErrPermission); err != nil && !forbidden {
		return 0, false, fmt.Errorf("set oom_score_adj: %w", err)
	}
	now, err = ReadOOMScoreAdj(file)
	return now, forbidden, err
}

// ReadOOMScoreAdj is what the file says.
func ReadOOMScoreAdj(file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("read oom_score_adj: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
