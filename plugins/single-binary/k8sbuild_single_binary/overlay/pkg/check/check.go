// Package check looks at a machine before, or while, a server runs on it, and
// says of what is missing how to get it.
//
// It imports no Kubernetes package.
package check

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"k8sbuild.dev/distribution/pkg/cleanup"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
)

// Level says how bad a finding is.
type Level string

// The levels. A server does not start where there is an error.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Error   Level = "error"
)

// Package is who has a program, by the name of the Linux distribution's package.
type Package struct {
	Debian string `json:"debian"`
	Fedora string `json:"fedora"`
}

// Finding is what one check found.
type Finding struct {
	Check   string   `json:"check"`
	Level   Level    `json:"level"`
	Message string   `json:"message"`
	Fix     string   `json:"fix,omitempty"`
	Package *Package `json:"package,omitempty"`
}

// String is the finding in one line.
func (f Finding) String() string {
	line := f.Check + ": " + f.Message
	if f.Fix != "" {
		line += "; " + f.Fix
	}
	return line
}

// Machine is the machine that is looked at.
type Machine struct {
	Config *config.Config
	// Root is the root of its files, of the kernel's too.
	Root string
	// UID is the user who looks.
	UID int
	// Built is when this program was made: no clock is right that says less.
	Built time.Time

	look      func(program string) (string, error)
	listen    func(address string) error
	disk      func(path string) (disk, error)
	synced    func() (bool, error)
	processes func() ([]cleanup.Process, error)
	now       func() time.Time
	// components are those that the server would run here.
	components []server.Component
}

// This is this machine.
func This(cfg *config.Config, built time.Time) Machine {
	// What is wrong with them, the server says.
	components, _ := server.Components(cfg)
	return Machine{
		Config: cfg, Root: "/", UID: os.Geteuid(), Built: built,
		look: exec.LookPath, listen: tryListen, disk: diskOf, synced: clockSynced, processes: cleanup.Processes, now: time.Now,
		components: components,
	}
}

func tryListen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// clockSynced asks the kernel whether something keeps its clock right.
func clockSynced() (bool, error) {
	var state unix.Timex
	if _, err := unix.Adjtimex(&state); err != nil {
		return false, fmt.Errorf("ask for the clock's state: %w", err)
	}
	return state.Status&unix.STA_UNSYNC == 0, nil
}

// check is one question to the machine.
type check struct {
	name string
	// node: it is of interest where a node runs.
	node bool
	// stopped: it can be answered only while no server runs.
	stopped bool
	run     func(Machine) []Finding
}

var checks = []check{
	{"kernel", true, false, Machine.kernel},
	{"kernel features", true, false, Machine.features},
	{"control groups", true, false, Machine.cgroups},
	{"rights", true, false, Machine.rights},
	{"programs", true, false, Machine.programs},
	{"ports", false, true, Machine.ports},
	{"disk", false, false, Machine.space},
	{"memory", false, false, Machine.memory},
	{"swap", true, false, Machine.swap},
	{"clock", false, false, Machine.clock},
	{"name servers", true, false, Machine.nameServers},
	{"firewall", true, false, Machine.firewall},
	{"other Kubernetes", true, true, Machine.others},
}

// Run makes all checks that the configuration asks for. A check without a
// finding is a finding that all is well.
func (m Machine) Run() []Finding {
	var all []Finding
	running := m.running()
	if running != "" {
		all = append(all, Finding{Check: "server", Level: OK, Message: running})
	}
	for _, c := range checks {
		if c.node && m.Config.DisableAgent || c.stopped && running != "" {
			continue
		}
		found := c.run(m)
		if len(found) == 0 {
			found = []Finding{{Level: OK, Message: "in order"}}
		}
		for _, f := range found {
			f.Check = c.name
			all = append(all, f)
		}
	}
	return append(all, m.lacking()...)
}

// lacking is what components of plugins find. Only root sees the machine.
func (m Machine) lacking() (all []Finding) {
	for _, c := range m.components {
		if c.Lacks == nil || m.UID != 0 {
			continue
		}
		f := fine("in order")
		if what, fix := c.Lacks(); what != "" {
			f = failure(fix, "%s", what)
		}
		f.Check = c.Name
		all = append(all, f)
	}
	return all
}

// Refusal is why a server cannot run here, in one line each, or nil.
func (m Machine) Refusal() error {
	var errs []error
	for _, f := range m.Run() {
		if f.Level == Error {
			errs = append(errs, errors.New(f.String()))
		}
	}
	return errors.Join(errs...)
}

// path is a path of the machine's.
func (m Machine) path(elem ...string) string {
	return filepath.Join(append([]string{m.Root}, elem...)...)
}

// read is a small file of the machine's, empty if it cannot be read.
func (m Machine) read(elem ...string) string {
	text, _ := os.ReadFile(m.path(elem...))
	return strings.TrimSpace(string(text))
}

func (m Machine) exists(elem ...string) bool {
	_, err := os.Stat(m.path(elem...))
	return err == nil
}

func warning(fix, format string, args ...any) Finding {
	return Finding{Level: Warning, Message: fmt.Sprintf(format, args...), Fix: fix}
}

func failure(fix, format string, args ...any) Finding {
	return Finding{Level: Error, Message: fmt.Sprintf(format, args...), Fix: fix}
}

func fine(format string, args ...any) Finding {
	return Finding{Level: OK, Message: fmt.Sprintf(format, args...)}
}
