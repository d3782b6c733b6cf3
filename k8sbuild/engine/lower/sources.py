"""Sources, artifacts of other targets, and toolchains: one fetch step each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from k8sbuild.engine.keys import as_data
from k8sbuild.kinds import Source, Step

from .resolved import Resolved, node

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k8sbuild.engine.graph import Node
    from k8sbuild.resolve import Program

__all__ = ["artifacts", "sources", "toolchain_of", "toolchains"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """What a step that runs ``go`` needs: inputs, and parameters."""

    inputs: tuple[str, ...]
    params: Mapping[str, str]


def toolchain_of(r: Resolved, program: Program) -> Toolchain:
    """Return the toolchain of a program: the locked one, or the user's own."""
    release = go_name(r.toolchains[program.name])
    named = r.local_toolchain or f"fetch:{ENGINE}/{release}"
    params = {"toolchain": named, "go": release.rsplit(".", 1)[0]}
    return Toolchain(inputs=() if r.local_toolchain else (named,), params=params)


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
    return node("fetch", plugin, "Source", step, pinned=lambda: r.pinned(source), data={"source": source})
