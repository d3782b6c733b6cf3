package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// endLimit is how long a containerd that is told to end may take.
const endLimit = 5 * time.Second

// pollInterval, in milliseconds, is how soon a wait notices that it is over.
const pollInterval = 100

// process is a containerd, our child or not.
type process struct {
	pid  int
	fd   int // of pidfd_open: says when the process ends, never means another one
	reap func() error
}

// open takes hold of a process. reap is nil for one that is not our child.
func open(pid int, reap func() error) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("take hold of process %d: %w", pid, err)
	}
	return &process{pid: pid, fd: fd, reap: reap}, nil
}

// wait returns when the process has ended or ctx is over; how says how it
// ended, where that can be known.
func (p *process) wait(ctx context.Context) (ended bool, how error) {
	for ctx.Err() == nil {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, pollInterval)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return true, fmt.Errorf("wait for process %d: %w", p.pid, err)
		}
		if ready > 0 {
			unix.Close(p.fd)
			if p.reap == nil {
				return true, errors.New("it was adopted, so that nobody knows how it ended")
			}
			return true, p.reap()
		}
	}
	return false, nil
}

// end asks the process to end, and kills it when it does not in time.
func (p *process) end(ctx context.Context) error {
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(p.fd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end process %d: %w", p.pid, err)
		}
		limit, cancel := context.WithTimeout(ctx, endLimit)
		ended, _ := p.wait(limit)
		cancel()
		if ended {
			return nil
		}
	}
	return fmt.Errorf("process %d does not end: %w", p.pid, context.DeadlineExceeded)
}

// start writes the configuration and starts containerd with it.
func (l layout) start(config string) (*process, error) {
	if err := os.WriteFile(l.configFile(), []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("write containerd's configuration: %w", err)
	}
	cmd := exec.Command(l.program("containerd"), l.arguments()...)
	// Not a pipe: containerd outlives us, and so must what it writes to.
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Dir = l.dir
	// Ctrl-C at a terminal is for us; we end it in its turn.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start containerd: %w", err)
	}
	if err := l.remember(cmd.Process.Pid); err != nil {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return open(cmd.Process.Pid, cmd.Wait)
}

func (l layout) arguments() []string { return []string{"--config", l.configFile()} }

// remember writes the process's id, and its start time: ids come again.
func (l layout) remember(pid int) error {
	begun, err := startTime(pid)
	if err != nil {
		return fmt.Errorf("look at containerd's process: %w", err)
	}
	if err := os.WriteFile(l.pidFile(), fmt.Appendf(nil, "%d %s\n", pid, begun), 0o600); err != nil {
		return fmt.Errorf("write containerd's process id: %w", err)
	}
	return nil
}

// survivor is the containerd that an earlier server left, if there is one and
// it is what would be started now; another one of ours is ended.
func (l layout) survivor(config string) (*process, error) {
	pid, ours := l.remembered()
	if !ours {
		return nil, nil
	}
	found, err := open(pid, nil)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	// It may have ended, and another come in its place, before it was held.
	if again, ours := l.remembered(); !ours || again != pid {
		return nil, unix.Close(found.fd)
	}
	if l.current(pid, config) {
		klog.InfoS("Adopted the container runtime that runs already", "pid", pid)
		return found, nil
	}
	klog.InfoS("Replacing the container runtime that runs: its program or configuration is another", "pid", pid)
	return nil, found.end(context.Background())
}

// remembered is the process of the pid file, if that is still the same process
// and a containerd with our configuration file.
func (l layout) remembered() (pid int, ours bool) {
	text, err := os.ReadFile(l.pidFile())
	if err != nil {
		return 0, false
	}
	id, begun, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	pid, err = strconv.Atoi(id)
	if err != nil {
		return 0, false
	}
	if now, err := startTime(pid); err != nil || now != begun {
		return 0, false
	}
	line, err := os.ReadFile(filepath.Join("/proc", id, "cmdline"))
	words := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	return pid, err == nil && slices.Equal(words[1:], l.arguments())
}

// current says whether a containerd runs our program with this configuration.
func (l layout) current(pid int, config string) bool {
	running, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return false
	}
	program, err := os.Stat(l.program("containerd"))
	if err != nil || !os.SameFile(running, program) {
		return false
	}
	written, err := os.ReadFile(l.configFile())
	return err == nil && string(written) == config
}

// startTime is when a process began, in ticks since the machine did.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The name, in parentheses, may have spaces and parentheses of its own.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return "", fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return string(fields[19]), nil
}
