// Package memory gives memory back that only the start of the process needed.
//
// It imports no Kubernetes package.
package memory

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
)

// Release collects garbage, and lets go of the heap's free pages and of the
// program's own code and constants. Most code runs only while the process
// starts; the pages that are needed again come back from the page cache.
func Release() error {
	debug.FreeOSMemory()
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("find the program's pages: %w", err)
	}
	defer maps.Close()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	areas, err := readOnly(maps, program)
	if err != nil {
		return fmt.Errorf("find the program's pages: %w", err)
	}
	for _, a := range areas {
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, a.begin, a.end-a.begin, syscall.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("let go of the program's pages: %w", errno)
		}
	}
	return nil
}

// area is a range of addresses.
type area struct{ begin, end uintptr }

// readOnly are the areas of maps, in the form of /proc/PID/maps, that hold the
// program and that it cannot have changed.
func readOnly(maps io.Reader, program string) ([]area, error) {
	var areas []area
	for lines := bufio.NewScanner(maps); ; {
		if !lines.Scan() {
			return areas, lines.Err()
		}
		fields := strings.SplitN(lines.Text(), " ", 6)
		if len(fields) < 6 || strings.TrimLeft(fields[5], " ") != program {
			continue
		}
		if perms := fields[1]; perms != "r-xp" && perms != "r--p" {
			continue
		}
		var a area
		if _, err := fmt.Sscanf(fields[0], "%x-%x", &a.begin, &a.end); err != nil {
			return nil, fmt.Errorf("line %q: %w", lines.Text(), err)
		}
		areas = append(areas, a)
	}
}
