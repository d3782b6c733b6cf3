"""What lowering starts from, and what every kind's rule uses: nodes and texts with placeholders."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k8sbuild.build import fill
from k8sbuild.engine.address import Address
from k8sbuild.engine.graph import Node
from k8sbuild.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from k8sbuild.build import Build
    from k8sbuild.engine.contribute import Contributions
    from k8sbuild.engine.local import Files
    from k8sbuild.engine.parts import GoParts
    from k8sbuild.golang.bootstrap import OwnGo
    from k8sbuild.kinds import Source, Step
    from k8sbuild.pins import Release
    from k8sbuild.plugins import Plugin
    from k8sbuild.resolve import Program

__all__ = ["Needed", "Resolved", "filled", "node", "zips_of"]

#: Of the library's own run functions whose meaning changed since their first release; the others' is 1.
REVISIONS: Mapping[str, int] = {
    "k8sbuild.stages.compile:go_binary": 2,
    "k8sbuild.stages.fetch:modules": 2,
    "k8sbuild.stages.package:archive": 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """Another target that a build takes artifacts of.

    Args:
        plugin: the one that asks for it.
        source: the name that it gives it.
        artifacts: addresses by file name.
        nodes: what these artifacts reach.
    """

    plugin: str
    source: str
    artifacts: Mapping[str, str]
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Everything that is known before the graph is made."""

    build: Build
    contributions: Contributions
    sources: Mapping[str, Source]
    programs: Mapping[str, Program]
    release: Release
    toolchains: Mapping[str, Source]
    pinned: Callable[[Source], str | None]
    sums: Callable[[Iterable[str]], Mapping[str, tuple[str, str]] | None]
    owners: Mapping[str, str] = field(default_factory=dict)
    user_patches: Mapping[str, Path] = field(default_factory=dict)
    tree_state: str = "clean"
    own_go: OwnGo | None = None
    fast: bool = False
    needed: tuple[Needed, ...] = ()


def node(
    stage: Any,
    plugin: str,
    kind: str,
    step: Step,
    *,
    local: Mapping[str, Files] | None = None,
    pinned: Callable[[], str | None] | None = None,
    note: str = "",
    live: bool = False,
    source: Source | None = None,
    go: Mapping[str, GoParts] | None = None,
) -> Node:
    """Return a node without resolved collections.

    Raises:
        PlanError: ``bad-address`` where the step's name cannot be part of one.
    """
    if step.name in ("", ".", "..") or "/" in step.name or ":" in step.name:
        raise PlanError(
            f"plugin {plugin}: the {kind} {step.name!r} must have a name without '/' and ':'", reason="bad-address"
        )
    return Node(
        address=Address(stage, plugin, step.name),
        kind=f"{kind}@{REVISIONS.get(step.run, step.revision)}",
        step=step,
        local=local or {},
        pinned=pinned,
        note=note,
        live=live,
        source=source,
        go=go or {},
    )


def filled(values: Mapping[str, str], plugin: Plugin, item: Any, texts: Mapping[str, str]) -> dict[str, str]:
    """Return an item's texts with their placeholders filled in."""
    who = f"plugin {plugin.name}: {type(item).__name__} {item.name}"
    return {name: fill(text, values, who) for name, text in sorted(texts.items())}


def zips_of(program: Program) -> str:
    """Return where the zips of a program's modules are; a source that has them itself needs none."""
    return "" if program.module.source else f"fetch:{program.plugin}/{program.module.name}-modules"
