"""Compiling with an empty compile cache."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from bench.line import Line, Outcome
from bench.plain import forget, prepare, rebuilt
from bench.sides import ratios, samples
from bench.timing import Run, alternate

if TYPE_CHECKING:
    from pathlib import Path

    from bench.workspace import Workspace

TARGET = 1.05


def measure(workspace: Workspace) -> Outcome:
    """Compile cold through ``invoke``, then with ``go build`` alone."""
    project = workspace.project("cold")
    cache = workspace.side_cache("cold-cache", "store", "modcache", "toolchains")
    rebuilt(workspace, project)
    plain = prepare(workspace, project, "cold-plain")

    def ours(_: int) -> Run:
        _empty(cache / "gocache")
        forget(workspace.cache, "compile:")
        return workspace.invoke(project, "compile", cache=cache)

    def theirs(_: int) -> Run:
        _empty(cache / "gocache")
        return plain.with_cache(cache / "gocache").build(workspace.root / "cold-k8s")

    found, alone = alternate(1, ours, theirs)
    # The two caches have the toolchain at two paths.
    same = prepare(workspace, project, "cold-plain").argv[1:] == plain.argv[1:]
    _empty(cache / "gocache")
    wall, cpu = ratios(found, alone)
    return Outcome(
        measured=f"{wall:.3f} wall, {cpu:.3f} CPU",
        met=min(wall, cpu) <= TARGET,
        samples=samples({"invoke compile": found, "go build": alone}),
        facts={"same command": same, "command": " ".join(w for w in plain.argv[1:] if not w.startswith("-ldflags"))},
    )


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


LINE = Line(
    name="cold",
    what="cold compile vs plain `go build`",
    target=f"ratio ≤ {TARGET}",
    how="`invoke compile` with everything but the compile cache, which is empty, then `go build` of a copy of the same "
    "tree with the same command (`-p` included) and an empty cache; one round, since each takes minutes. The ratio of "
    "processor time (user and system, of all processes) is given beside that of wall time, which other work on the "
    "machine disturbs; the target is met when one of the two is below it.",
    measure=measure,
)
