"""Sources, artifacts of other targets, and toolchains: one fetch step each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from k8sbuild.engine.keys import as_data
from k8sbuild.engine.parts import GoParts
from k8sbuild.kinds import Source, Step

from .resolved import Resolved, node, zips_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from k8sbuild.engine.graph import Node
    from k8sbuild.resolve import Program

__all__ = ["artifacts", "go_inputs", "go_params", "go_parts", "sources", "toolchains"]

#: The engine's own name in addresses.
ENGINE = "k8sbuild"


def toolchains(r: Resolved) -> Iterator[Node]:
    """Yield the step that fetches each Go release that programs need."""
    seen = set()
    for source in r.toolchains.values():
        if source.version not in seen:
            seen.add(source.version)
            yield _source_node(r, ENGINE, replace(source, name=go_name(source)), source)


def go_name(source: Source) -> str:
    """``go1.25.5.linux-amd64``: the module's version without its constant part."""
    return source.version.removeprefix("v0.0.1-")


def go_parts(r: Resolved, program: Program, trees: Iterable[str]) -> GoParts:
    """Return what a program's code is compiled with: by the locked toolchain, or the user's own.

    Args:
        trees: addresses of the sources that are needed of it.
    """
    name = go_name(r.toolchains[program.name])
    pinned = name.rsplit(".", 1)[0]
    return GoParts(
        zips=zips_of(program),
        trees=tuple(trees),
        toolchain=str(r.own_go.root) if r.own_go else f"fetch:{ENGINE}/{name}",
        release=r.own_go.release if r.own_go else pinned,
        pinned=pinned,
    )


def go_inputs(r: Resolved, parts: GoParts) -> tuple[str, ...]:
    """Return the inputs of a step that runs ``go``, but for the module."""
    return tuple(filter(None, (parts.zips, *parts.trees, "" if r.own_go else parts.toolchain)))


def go_params(r: Resolved, program: Program) -> dict[str, str]:
    """Return what the key of a step that runs ``go`` says of the toolchain: what it is, not where."""
    parts = go_parts(r, program, ())
    return {"go": parts.release, **({"tools": r.own_go.digest} if r.own_go else {})}


def sources(r: Resolved) -> Iterator[Node]:
    """Yield the step that fetches each source."""
    for source in r.sources.values():
        yield _source_node(r, r.owners[source.name], source, source)


def artifacts(r: Resolved) -> Iterator[Node]:
    """Yield the step that gives the artifacts of each target that this one takes from."""
    for target in r.needed:
        step = Step(
            name=target.source,
            stage="fetch",
            run="k8sbuild.stages.fetch:artifacts",
            inputs=tuple(dict.fromkeys(target.artifacts.values())),
            params={"artifacts": dict(target.artifacts)},
        )
        yield node("fetch", target.plugin, "Artifacts", step)


def _source_node(r: Resolved, plugin: str, named: Source, source: Source) -> Node:
    step = Step(
        name=named.name,
        stage="fetch",
        run="k8sbuild.stages.fetch:source",
        params={"source": as_data(source)},
        needs_network=True,
        memory=200,
    )
    return node("fetch", plugin, "Source", step, pinned=lambda: r.pinned(source), source=source)
