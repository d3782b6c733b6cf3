"""What a build takes beyond the compiler, when only fetched content is there."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from bench.line import Line, Outcome
from bench.plain import forget_all_but_fetched, prepare
from bench.sides import samples, spreads
from bench.stats import median
from bench.timing import Run, alternate
from bench.workspace import TRASH

if TYPE_CHECKING:
    from pathlib import Path

    from bench.workspace import Workspace

TARGET = 6.0
_WARM = ("gocache", "modcache", "toolchains")


def fetched(workspace: Workspace, name: str) -> tuple[Path, Path]:
    """Return a project and a cache after ``invoke fetch``, with Go's own caches warm."""
    project = workspace.project(name)
    cache = workspace.side_cache(f"{name}-cache", *_WARM)
    workspace.invoke(project, "fetch", cache=cache)
    return project, cache


def as_fetched(project: Path, cache: Path) -> None:
    """Take away what any stage after fetch has made.

    Work trees are moved aside and not removed: for a minute after a mass removal ext4 creates files ten times slower,
    and a fresh clone has removed nothing.
    """
    forget_all_but_fetched(cache)
    trash = project.parent / TRASH
    trash.mkdir(exist_ok=True)
    for folder in (project / ".k8sbuild", project / "dist"):
        if folder.exists():
            folder.rename(trash / uuid4().hex)


def measure(workspace: Workspace) -> Outcome:
    """Build from fetched content, by turns with the compiler alone."""
    project, cache = fetched(workspace, "own-share")

    def build() -> Run:
        return workspace.invoke(project, "build", "--skip-validate", cache=cache)

    build()
    plain = prepare(workspace, project, "own-share-plain")

    def ours(_: int) -> Run:
        as_fetched(project, cache)
        return build()

    found, alone = alternate(workspace.rounds, ours, lambda _: plain.build(workspace.root / "own-share-k8s"))
    sides = {"invoke build": found, "go build": alone}
    share = median([done.seconds for done in found]) - median([done.seconds for done in alone])
    return Outcome(
        measured=f"{share:.1f} s",
        met=share <= TARGET,
        samples=samples(sides),
        facts={
            **spreads(sides),
            "own share, CPU s": round(median([d.cpu for d in found]) - median([d.cpu for d in alone]), 1),
        },
    )


LINE = Line(
    name="own-share",
    what="own share after `invoke fetch`, all other results removed, compile cache warm",
    target=f"≤ {TARGET:.0f} s",
    how="Before each round every result but those of the fetch stage is removed from the store, and the project's work "
    "trees and artifacts. Then `invoke build --skip-validate`, minus `go build` of the prepared tree (median minus "
    "median, by turns). Both link anew, with the same compile cache and extracted modules.",
    measure=measure,
)
