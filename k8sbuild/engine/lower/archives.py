"""Archives: one package step each, with where the licence texts of their programs are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.engine.address import parse
from k8sbuild.errors import PlanError
from k8sbuild.kinds import Archive, GoBinary, Step

from .programs import program_of, trees_of
from .resolved import Resolved, filled, node, zips_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.engine.graph import Node

__all__ = ["archives", "level"]

#: Levels of zstd. Above the first one a few hundredths of size cost twice the time and memory.
_LEVEL, _FAST_LEVEL = 6, 1


def level(r: Resolved) -> int:
    """Return how much zstd shall compress what a build packs."""
    return _FAST_LEVEL if r.fast else _LEVEL


def archives(r: Resolved) -> Iterator[Node]:
    """Yield the step that makes each archive."""
    values = r.build.placeholders()
    date = r.release.time
    for plugin, archive in r.contributions.of(Archive):
        names = filled(values, plugin, archive, {"file": archive.file, "prefix": archive.prefix})
        paths = filled(values, plugin, archive, {m.path: m.path for m in archive.members})
        rows = [{"address": m.address, "path": paths[m.path], "mode": m.mode} for m in archive.members]
        licences = {address: _licence_inputs(r, address) for address in archive.licences}
        places = [address for inputs in licences.values() for address in inputs]
        step = Step(
            name=archive.name,
            stage="package",
            run="k8sbuild.stages.package:archive",
            inputs=tuple(dict.fromkeys([*(m.address for m in archive.members), *archive.licences, *places])),
            outputs=(names["file"],),
            params={
                **names,
                "members": rows,
                "licences": licences,
                "date": date,
                "level": level(r),
            },
            memory=400,
        )
        yield node("package", plugin.name, "Archive", step)


def _licence_inputs(r: Resolved, address: str) -> list[str]:
    """Return where the licence texts of a Go binary's modules are: zips and source trees."""
    target = parse(address)
    for plugin, binary in r.contributions.of(GoBinary):
        if (plugin.name, binary.name) == (target.plugin, target.name):
            program = program_of(r, binary.module, f"GoBinary {binary.name}")
            return [zips_of(program), *trees_of(r, program)]
    raise PlanError(f"licences of {address}: no such GoBinary", reason="unknown-address")
