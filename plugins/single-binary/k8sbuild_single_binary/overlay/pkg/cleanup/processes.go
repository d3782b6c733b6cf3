package cleanup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is one that runs.
type Process struct {
	PID, Parent int
	Args        []string
}

// Processes are those that run now. Kernel threads have no arguments.
func Processes() ([]Process, error) { return processes("/proc") }

func processes(proc string) ([]Process, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// One that has ended meanwhile is none.
		if p, err := read(filepath.Join(proc, e.Name())); err == nil {
			p.PID = pid
			found = append(found, p)
		}
	}
	return found, nil
}

func read(dir string) (Process, error) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Process{}, err
	}
	// The name, in parentheses, may have spaces and parentheses of its own.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return Process{}, fmt.Errorf("%s has %d fields", dir, len(fields))
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return Process{}, err
	}
	line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return Process{}, err
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	if len(line) == 0 {
		args = nil
	}
	return Process{Parent: parent, Args: args}, nil
}

// Below are the processes that chosen picks and all that descend from them,
// parents first.
func Below(all []Process, chosen func(Process) bool) []Process {
	var found []Process
	for _, p := range all {
		if chosen(p) {
			found = append(found, p)
		}
	}
	for i := 0; i < len(found); i++ {
		for _, p := range all {
			if p.Parent == found[i].PID && !slices.ContainsFunc(found, func(f Process) bool { return f.PID == p.PID }) {
				found = append(found, p)
			}
		}
	}
	return found
}

// rounds bounds KillBelow: what forks faster than it is killed has no end.
const rounds = 20

// KillBelow kills the processes that chosen picks and all that descend from
// them, again until none is left, and returns how many they were.
func KillBelow(ctx context.Context, chosen func(Process) bool) (killed int, err error) {
	for range rounds {
		all, err := Processes()
		if err != nil {
			return killed, err
		}
		left := Below(all, chosen)
		if len(left) == 0 {
			return killed, nil
		}
		for _, p := range left {
			if err := End(ctx, p.PID, 0); err != nil {
				return killed, err
			}
			killed++
		}
	}
	return killed, errors.New("new processes come as fast as they are killed")
}

// killLimit is how long a killed process may take to end: it may be in the
// kernel, waiting for a disk.
const killLimit = 10 * time.Second

// End asks a process to end, waits as long as patience says, then kills it. It
// returns when the process has ended, or ctx is over: then it is not killed.
func End(ctx context.Context, pid int, patience time.Duration) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	} else if err != nil {
		return fmt.Errorf("take hold of process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	for _, try := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGTERM, patience}, {unix.SIGKILL, killLimit}} {
		if try.wait == 0 {
			continue
		}
		if err := unix.PidfdSendSignal(fd, try.signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end process %d: %w", pid, err)
		}
		if ended(ctx, fd, try.wait) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("end process %d: %w", pid, context.Cause(ctx))
		}
	}
	return fmt.Errorf("process %d does not end", pid)
}

func ended(ctx context.Context, fd int, wait time.Duration) bool {
	const interval = 50 * time.Millisecond
	for deadline := time.Now().Add(wait); time.Now().Before(deadline) && ctx.Err() == nil; {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(interval.Milliseconds()))
		if err == nil && ready > 0 {
			return true
		}
	}
	return false
}
