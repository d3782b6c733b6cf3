"""Go binaries: one compile step each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.build import host_platform
from k8sbuild.engine.address import parse
from k8sbuild.kinds import GoBinary, Step

from .programs import module_address, program_of, trees_of
from .resolved import Resolved, filled, node
from .sources import go_inputs, go_params, go_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.engine.graph import Node
    from k8sbuild.plugins import Plugin
    from k8sbuild.resolve import Program

__all__ = ["binaries", "binary_step"]


def binaries(r: Resolved) -> Iterator[Node]:
    """Yield the step that compiles each program."""
    for plugin, binary in r.contributions.of(GoBinary):
        program = program_of(r, binary.module, f"GoBinary {binary.name}")
        yield node("compile", plugin.name, "GoBinary", binary_step(r, plugin, binary, program))


def binary_step(r: Resolved, plugin: Plugin, binary: GoBinary, program: Program) -> Step:
    """Return the step that compiles a program."""
    module = module_address(r, program)
    values = {**r.build.placeholders(), **_release_values(r)}
    output = binary.output or binary.name
    platform = host_platform() if binary.host else r.build.platform
    needing = [f"{item.name} {program.version_of(item)}" for item in program.requires if item.cgo]
    compiler = (parse(binary.cc.partition(" ")[0]).step,) if binary.cc else ()
    return Step(
        name=binary.name,
        stage="compile",
        run="k8sbuild.stages.compile:go_binary",
        inputs=(module, *go_inputs(r, go_parts(r, program, trees_of(r, program))), *compiler),
        outputs=(output,),
        params={
            "module": module,
            **go_params(r, program),
            **({"vendored": True} if program.module.source else {}),
            "package": binary.package,
            **({"test": True} if binary.test else {}),
            "output": output,
            "tags": list(binary.tags),
            "ldflags": filled(values, plugin, binary, binary.ldflags),
            "cgo": binary.cgo or bool(needing),
            **({"cgo_by": needing} if needing else {}),
            **({"cc": binary.cc} if binary.cc else {}),
            "os": platform.os,
            "arch": platform.arch,
        },
        env=dict(binary.env),
        cores=0,
        memory=1500,
    )


def _release_values(r: Resolved) -> dict[str, str]:
    """Return ``{commit}``, ``{date}``, ``{tree_state}``, ``{major}``, ``{minor}`` for ldflags."""
    # A target without Kubernetes has no version of it.
    major, minor = [*r.build.k8s.removeprefix("v").split("."), ""][:2]
    return {
        "commit": r.release.commit,
        "date": r.release.time,
        "tree_state": r.tree_state,
        "major": major,
        "minor": minor,
    }
