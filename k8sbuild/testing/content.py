"""What the fake upstream contains: files as text, by path.

Only what a build meets in the real one is here, each with the smallest content
that still compiles: staging modules, versions set by ldflags, a server with
``/readyz``, a package that plugins remove, and what a canonical tree leaves out
(``vendor``, ``go.work``, nested modules).
"""

from __future__ import annotations

__all__ = ["DEP", "STAGING", "dependency", "staging", "staging_mod", "storage", "trunk"]

#: Module path of the third-party module.
DEP = "example.org/dep"

#: What each staging module requires: other staging modules, then third parties.
STAGING: dict[str, tuple[str, ...]] = {
    "k8s.io/api": ("k8s.io/apimachinery",),
    "k8s.io/apimachinery": (DEP,),
    "k8s.io/component-base": (),
}

_LICENCE = "Licence of {name}: do with this made-up module whatever you like.\n"

_TRUNK = {
    ".gitattributes": "* text=auto eol=lf\n",
    "README.md": "# A made-up Kubernetes\n\nSmall enough to build in a test.\n",
    "hack/run.sh": "#!/bin/sh\nexec go run ./cmd/kube-apiserver\n",
    "hack/tools/tools.go": "// Package tools is of a nested module, which no module zip holds.\npackage tools\n",
    "vendor/modules.txt": "# example.org/dep v1.0.0\n## explicit\nexample.org/dep\n",
    "vendor/example.org/dep/dep.go": "// Package dep is a vendored copy, which no build may see.\npackage dep\n",
    "cmd/kube-apiserver/apiserver.go": """\
// Command kube-apiserver serves the API.
package main

import (
	"fmt"
	"os"

	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if err := app.Run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
""",
    # Plain net and not net/http: its packages would be most of a test's compile time.
    "cmd/kube-apiserver/app/server.go": """\
// Package app is the API server: it answers /readyz and /version.
package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"

	"k8s.io/component-base/version"
)

// Run serves on the address that args hold, after it wrote the address to out.
func Run(args []string, out io.Writer) error {
	address := "127.0.0.1:0"
	if len(args) > 0 {
		address = args[0]
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Fprintf(out, "serving on %s\\n", listener.Addr())
	return Serve(listener)
}

// Serve answers requests until the listener is closed.
func Serve(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		go answer(conn)
	}
}

func answer(conn net.Conn) {
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\\n')
	if err != nil {
		return
	}
	status, body := route(strings.Fields(line))
	fmt.Fprintf(conn, "HTTP/1.0 %s\\r\\nContent-Length: %d\\r\\n\\r\\n%s", status, len(body), body)
}

func route(request []string) (status, body string) {
	switch {
	case len(request) < 2:
		return "400 Bad Request", ""
	case request[1] == "/readyz":
		return "200 OK", "ok"
	case request[1] == "/version":
		return "200 OK", version.Get().GitVersion
	}
	return "404 Not Found", ""
}
""",
    "cmd/kube-apiserver/app/cloud.go": """\
package app

import (
	"k8s.io/kubernetes/pkg/cloud"
)

// Providers names what this server was built with.
func Providers() []string {
	providers := []string{"none"}
	providers = append(providers, cloud.Names()...)
	return providers
}
""",
    "cmd/kube-apiserver/app/objects.go": """\
package app

import (
	"example.org/dep"

	"k8s.io/api/core"
)

// Default returns the object that every server starts with.
func Default() string {
	return core.Namespace("default").Name + " " + dep.Version
}
""",
    "pkg/cloud/LICENSE": "Clouds are free.\n",
    "pkg/LICENSE.md": "What is below is free.\n",
    "pkg/rain/LICENSE": "Nothing links rain.\n",
    "pkg/cloud/cloud.go": """\
// Package cloud knows cloud providers; plugins remove it.
package cloud

// Names returns the providers that are linked.
func Names() []string {
	return []string{"fog", "mist"}
}
""",
}

_STAGING_FILES = {
    "k8s.io/api": {
        "core/types.go": """\
// Package core holds the objects of the API.
package core

import "k8s.io/apimachinery/meta"

// Namespace returns the namespace of that name.
func Namespace(name string) meta.Object {
	return meta.Object{Kind: "Namespace", Name: name}
}
""",
    },
    "k8s.io/apimachinery": {
        "meta/meta.go": """\
// Package meta holds what all objects share.
package meta

import "example.org/dep"

// Object is any object.
type Object struct {
	Kind string
	Name string
}

// String returns the object as a line.
func (o Object) String() string {
	return dep.Join(o.Kind, o.Name)
}
""",
    },
    "k8s.io/component-base": {
        "version/base.go": """\
// Package version says what was built; ldflags set the values.
package version

var (
	gitMajor     string
	gitMinor     string
	gitVersion   = "v0.0.0-master+$Format:%H$"
	gitCommit    = "$Format:%H$"
	gitTreeState = ""
	buildDate    = "1970-01-01T00:00:00Z"
)
""",
        "version/version.go": """\
package version

// Info is what was built.
type Info struct {
	Major, Minor, GitVersion, GitCommit, GitTreeState, BuildDate string
}

// Get returns what was built.
func Get() Info {
	return Info{gitMajor, gitMinor, gitVersion, gitCommit, gitTreeState, buildDate}
}
""",
    },
}


def trunk(go: str) -> dict[str, str]:
    """Return the files of the main repository, without staging modules and go.sum."""
    requires = "".join(f"\t{path} v0.0.0\n" for path in STAGING)
    replaces = "".join(f"\t{path} => ./staging/src/{path}\n" for path in STAGING)
    uses = "".join(f"\t./staging/src/{path}\n" for path in STAGING)
    return _TRUNK | {
        "LICENSE": _LICENCE.format(name="k8s.io/kubernetes"),
        ".go-version": f"{go}\n",
        "go.mod": (
            f"module k8s.io/kubernetes\n\ngo {go}\n\nrequire (\n\t{DEP} v1.0.0\n{requires})\n\nreplace (\n{replaces})\n"
        ),
        "go.work": f"go {go}\n\nuse (\n\t.\n{uses})\n",
        "hack/tools/go.mod": f"module k8s.io/kubernetes/hack/tools\n\ngo {go}\n",
    }


def staging(path: str) -> dict[str, str]:
    """Return the files of a staging module, without go.mod and go.sum."""
    return _STAGING_FILES[path] | {"LICENSE": _LICENCE.format(name=path)}


def staging_mod(path: str, go: str, version: str) -> str:
    """Return a staging module's go.mod: as in the repository for ``v0.0.0``, else as published."""
    internal = [other for other in STAGING[path] if other in STAGING]
    lines = [f"\t{other} {version if other in STAGING else 'v1.0.0'}\n" for other in _needed(path)]
    text = f"module {path}\n\ngo {go}\n"
    text += f"\nrequire (\n{''.join(lines)})\n" if lines else ""
    if internal and version == "v0.0.0":
        text += "\nreplace (\n" + "".join(f"\t{other} => ../{other.split('/')[1]}\n" for other in internal) + ")\n"
    return text


def _needed(path: str) -> list[str]:
    direct = STAGING.get(path, ())
    return sorted({*direct, *(other for name in direct for other in _needed(name))})


def dependency(version: str) -> dict[str, str]:
    """Return the files of the third-party module; ``Added`` exists from v1.1.0."""
    code = f"""\
// Package dep is somebody else's.
package dep

// Version is this module's.
const Version = "{version}"

// Join puts two words together.
func Join(a, b string) string {{
	return a + "/" + b
}}
"""
    if version != "v1.0.0":
        code += "\n// Added came with v1.1.0.\nconst Added = true\n"
    return {"go.mod": f"module {DEP}\n\ngo 1.21\n", "LICENSE": _LICENCE.format(name=DEP), "dep.go": code}


def storage() -> dict[str, str]:
    """Return the files of the storage module, which needs a later version of the third-party one."""
    code = """\
// Package store keeps values in memory.
package store

import "example.org/dep"

// Store maps keys to values.
type Store map[string]string

// Put keeps a value below its kind.
func (s Store) Put(kind, name, value string) {
	if dep.Added {
		s[dep.Join(kind, name)] = value
	}
}
"""
    mod = f"module example.org/store\n\ngo 1.21\n\nrequire {DEP} v1.1.0\n"
    return {"go.mod": mod, "LICENSE": _LICENCE.format(name="example.org/store"), "store.go": code}
