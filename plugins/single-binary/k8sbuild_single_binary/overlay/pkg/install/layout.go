// Package install puts the distribution on a machine: the program, its links,
// unit and settings, and what lies beside it.
//
// It imports no Kubernetes package.
package install

import (
	"path/filepath"
)

// Name is the name of the program, its unit and its settings.
const Name = "k8s"

// Links are other names of the program, which it acts under.
var Links = []string{"kubectl"}

// Layout says where everything is of a system whose root is Root.
type Layout struct{ Root string }

func (l Layout) path(elem ...string) string {
	return filepath.Join(append([]string{l.Root}, elem...)...)
}

// Program is the path of the program.
func (l Layout) Program() string { return l.path("usr", "local", "bin", Name) }

// Link is the path of another name of the program.
func (l Layout) Link(name string) string { return l.path("usr", "local", "bin", name) }

// Libexec is the folder of the programs that only this one runs.
func (l Layout) Libexec() string { return l.path("usr", "local", "libexec", Name) }

// Unit is the path of systemd's unit.
func (l Layout) Unit() string { return l.path("etc", "systemd", "system", Name+".service") }

// Settings is the path of the environment file that the unit reads.
func (l Layout) Settings() string { return l.path("etc", "default", Name) }

// Images is the folder of archives whose images the node has from the start.
func (l Layout) Images(dataDir string) string { return l.path(dataDir, "images") }
