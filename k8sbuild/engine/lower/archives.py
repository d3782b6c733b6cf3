"""Archives: one package step each, with where the licence texts of their programs are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.engine.address import parse
from k8sbuild.errors import PlanError, suggest
from k8sbuild.kinds import Archive, ArchiveFile, GoBinary, Step

from .programs import module_address, program_of, trees_of
from .resolved import Resolved, filled, node, zips_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.engine.graph import Node
    from k8sbuild.plugins import Plugin

    from .resolved import Needed

__all__ = ["archives", "level", "licence_inputs"]

#: Levels of zstd. Above the first one a few hundredths of size cost twice the time and memory.
_LEVEL, _FAST_LEVEL = 6, 1


def level(r: Resolved) -> int:
    """Return how much zstd shall compress what a build packs."""
    return _FAST_LEVEL if r.fast else _LEVEL


def archives(r: Resolved) -> Iterator[Node]:
    """Yield the step that makes each archive.

    Raises:
        PlanError: ``unknown-archive``, ``unknown-address``.
    """
    made = {f"{plugin.name}/{archive.name}": (plugin, archive) for plugin, archive in r.contributions.of(Archive)}
    added: dict[str, list[ArchiveFile]] = {name: [] for name in made}
    for plugin, member in r.contributions.of(ArchiveFile):
        if member.archive not in added:
            raise PlanError(
                f"plugin {plugin.name}: {member.name} is for no archive of this build: {member.archive!r}"
                f"{suggest(member.archive, added)}",
                reason="unknown-archive",
                hint="ArchiveFile.archive is <plugin>/<name> of an Archive",
            )
        added[member.archive].append(member)
    for name, (plugin, archive) in made.items():
        yield _node(r, plugin, archive, (*archive.members, *added[name]))


def _node(r: Resolved, plugin: Plugin, archive: Archive, members: tuple[ArchiveFile, ...]) -> Node:
    names = filled(r.build.placeholders(), plugin, archive, {"file": archive.file, "prefix": archive.prefix})
    paths = filled(r.build.placeholders(), plugin, archive, {m.path: m.path for m in members})
    binaries = [*archive.licences, *(m.address for m in members if m.licences)]
    licences = {address: licence_inputs(r, address) for address in binaries}
    places = [address for inputs in licences.values() for address in inputs]
    step = Step(
        name=archive.name,
        stage="package",
        run="k8sbuild.stages.package:archive",
        inputs=tuple(dict.fromkeys([*(m.address for m in members), *binaries, *places])),
        outputs=(names["file"],),
        params={
            **names,
            "members": [{"address": m.address, "path": paths[m.path], "mode": m.mode} for m in members],
            "licences": licences,
            "date": r.release.time,
            "level": level(r),
        },
        memory=400,
    )
    return node("package", plugin.name, "Archive", step)


def licence_inputs(r: Resolved, address: str) -> list[str]:
    """Return where the licence texts of a Go binary's modules are: zips, then source trees.

    Raises:
        PlanError: ``unknown-address``.
    """
    target = parse(address)
    for plugin, binary in r.contributions.of(GoBinary):
        if (plugin.name, binary.name) == (target.plugin, target.name):
            program = program_of(r, binary.module, f"GoBinary {binary.name}")
            return [zips_of(program) or module_address(r, program), *trees_of(r, program)]
    for needed in r.needed:
        if target.step == f"fetch:{needed.plugin}/{needed.source}" and target.path in needed.artifacts:
            return _of_target(needed, parse(needed.artifacts[target.path]).step)
    raise PlanError(f"licences of {address}: no such GoBinary", reason="unknown-address")


def _of_target(needed: Needed, step: str) -> list[str]:
    """Return the same of another target's binary: what its compile takes."""
    go = next(item.go for item in needed.nodes if item.name == step)
    return [address for module, parts in go.items() for address in (parts.zips or module, *parts.trees)]
