"""Upstream code that ends the process by itself: edits that make it ask instead.

``klog.FlushAndExit`` ends the process through the variable ``klog.OsExit``. The
server sets it to a function that records who wants to end, begins the orderly
stop of all components, and never returns, so that nothing runs after the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.kinds import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DENIED", "ENDERS", "EXCEPT", "edits"]

#: Functions that end the process at once, whatever else runs in it.
ENDERS = ("os.Exit", "syscall.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln")
#: Code of the server, by the start of its import path: nothing in it may call one of them.
DENIED = ("k8s.io/", "github.com/k3s-io/", "go.etcd.io/", "k8sbuild.dev/distribution/pkg/")
#: kubectl is a process of its own.
EXCEPT = ("k8s.io/kubectl/",)

_WHY = "the process holds other components, which must stop in order"


def edits() -> Iterator[Edit]:
    """Yield the edits, each with the count that this release has."""
    yield _exit("kubelet-exits", "pkg/kubelet/**/*.go", count=12)
    yield _exit("kubelet-command-exit", "cmd/kubelet/app/server.go")
    yield _exit("scheduler-configuration-exit", "cmd/kube-scheduler/app/options/configfile.go", code=0)
    for file in ("certificate/transport", "kuberuntime/kuberuntime_manager", "server/server"):
        yield Edit(
            name=f"{file.rpartition('/')[2].replace('_', '-')}-of-kubelet-imports-no-os",
            source="kubernetes",
            path=f"pkg/kubelet/{file}.go",
            op="drop-import",
            text="os",
            why="only the calls of os.Exit used it",
        )


def _exit(name: str, path: str, *, code: int = 1, count: int = 1) -> Edit:
    return Edit(
        name=name,
        source="kubernetes",
        path=path,
        op="replace",
        text=f"os.Exit({code})",
        new=f"klog.FlushAndExit(klog.ExitFlushTimeout, {code})",
        count=count,
        why=_WHY,
    )
