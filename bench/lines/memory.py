"""The peak memory of our own process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.line import Line, Outcome

from .own_share import as_fetched, fetched

if TYPE_CHECKING:
    from bench.workspace import Workspace

TARGET = 150


def measure(workspace: Workspace) -> Outcome:
    """Fetch into an empty store, then build from what was fetched."""
    project, cache = fetched(workspace, "memory")
    empty = workspace.side_cache("memory-fetch-cache", "modcache", "toolchains")
    fetch = workspace.invoke(project, "fetch", cache=empty)
    as_fetched(project, cache)
    build = workspace.invoke(project, "build", cache=cache)
    as_fetched(project, cache)
    noop = workspace.invoke(project, "plan", cache=cache)
    peak = max(fetch.peak, build.peak)
    return Outcome(
        measured=f"{peak:.0f} MiB",
        met=peak <= TARGET,
        samples={"fetch, MiB": [fetch.peak], "build, MiB": [build.peak], "plan, MiB": [noop.peak]},
    )


LINE = Line(
    name="memory",
    what="peak memory of our own process",
    target=f"≤ {TARGET} MiB",
    how="The kernel's high-water mark of the Python process itself (VmHWM, looked at until it ends; that of its "
    "children does not count) in `invoke fetch` into an empty store and in a whole `invoke build` with checks after "
    "it; the larger one counts.",
    measure=measure,
)
