"""What of Kubernetes cri-dockerd links and never runs: it is compiled without.

cri-dockerd takes a handler of two signals from the library of API servers, and with it a whole API server, etcd's
client and CEL; by two files of packages whose others it needs, also the clients of every API and kube-proxy. Each edit
cuts one of these imports, in files that releases have in common; what is left does what it did.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from k8sbuild.build import matches
from k8sbuild.kinds import Check, Edit
from k8sbuild.upstream import unlinked

from .choice import NAME
from .content import CRI_DOCKERD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

__all__ = ["SOURCE", "checks", "edits", "trimmed"]

SOURCE = "cri-dockerd"
_APISERVER = "k8s.io/apiserver/pkg"
_KUBERNETES = "k8s.io/kubernetes/pkg"
#: Closes a channel as upstream's does: by the first signal; the second one ends the process.
_STOPPED = """\
// stopped returns what the first signal to end closes. A second one ends the process at once.
func stopped() <-chan struct{} {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		<-signals
		close(done)
		<-signals
		os.Exit(1)
	}()
	return done
}

"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Code that is cut off.

    Args:
        edits: how.
        packages: import paths that are linked no more.
        modules: whole modules that are not.
        versions: of cri-dockerd that have it.
    """

    edits: tuple[Edit, ...]
    packages: tuple[str, ...]
    modules: tuple[str, ...] = ()
    versions: str = ">=0.3.0"


_edit = partial(Edit, source=SOURCE)


def _ignored(name: str, folder: str, file: str, why: str) -> Edit:
    """Return the edit that keeps one file of a vendored package from being compiled."""
    clause = f"package {folder.rpartition('/')[2]}\n"
    return _edit(
        name=name,
        path=f"vendor/{_KUBERNETES}/{folder}/{file}",
        op="replace",
        text=clause,
        new=f"//go:build ignore\n\n{clause}",
        why=why,
    )


def _api_server() -> Iterator[Edit]:
    why = "main.go wants two signals, and has a whole API server for that"
    text, new = f'"{_APISERVER}/server"', '"os/signal"\n\t"syscall"'
    yield _edit(name="signals-import", path="main.go", op="replace", text=text, new=new, why=why)
    yield _edit(name="signals", path="main.go", op="insert-before", text="func main() {", new=_STOPPED, why=why)
    call = "server.SetupSignalHandler()"
    yield _edit(name="signals-call", path="main.go", op="replace", text=call, new="stopped()", why=why)
    why = "no handler of cri-dockerd's logs by this, so that it gives back what it is given"
    path, package = "streaming/*/websocket.go", f"{_APISERVER}/server/httplog"
    yield _edit(name="log-import", path=path, op="drop-import", text=package, count=2, why=why)
    yield _edit(name="log-call", path=path, op="replace", text="httplog.Unlogged(req, w)", new="w", count=2, why=why)


CUTS = (
    Cut(
        edits=tuple(_api_server()),
        packages=(f"{_APISERVER}/server", f"{_APISERVER}/server/httplog", f"{_APISERVER}/endpoints/metrics"),
        modules=(
            "github.com/google/cel-go",
            "go.etcd.io/etcd/client/v3",
            "go.opentelemetry.io/otel/exporters/otlp/otlptrace",
        ),
    ),
    Cut(
        edits=(_ignored("leases", "kubelet/util", "nodelease.go", "leases of nodes, which kubelets have"),),
        packages=("k8s.io/client-go/kubernetes",),
    ),
    Cut(
        edits=(_ignored("services", "proxy/conntrack", "cleanup.go", "connections of Services, which kube-proxy has"),),
        packages=(f"{_KUBERNETES}/proxy", "k8s.io/client-go/informers"),
        versions=">=0.3.16",
    ),
)


def trimmed(build: Build) -> bool:
    """Say whether cri-dockerd is compiled without what it does not run."""
    return build.option("runtime") == "cri-dockerd" and not build.option("whole-cri-dockerd")


def _cuts(build: Build) -> Iterator[Cut]:
    version = str(build.option("cri-dockerd"))
    return (cut for cut in CUTS if matches(version, cut.versions))


def edits(build: Build) -> Iterator[Edit]:
    """Yield the edits of cri-dockerd's source."""
    for cut in _cuts(build):
        yield from cut.edits


def checks(build: Build) -> Iterator[Check]:
    """Yield the proofs that nothing of it is linked."""
    cuts = list(_cuts(build))
    yield from unlinked(
        CRI_DOCKERD,
        module=f"{NAME}/{SOURCE}",
        packages=[package for cut in cuts for package in cut.packages],
        modules=[module for cut in cuts for module in cut.modules],
        hint=f"--set {NAME}.whole-cri-dockerd=true compiles all of it",
    )
