"""Kubernetes' own generators: one step for a patched Kubernetes that a program is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.kinds import Step

from .patches import source_address
from .resolved import Resolved, node
from .sources import go_inputs, go_params, go_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.engine.graph import Node
    from k8sbuild.resolve import Program

__all__ = ["generated", "tree_address"]


def tree_address(r: Resolved, name: str) -> str:
    """Return where the code of a source is that programs are made of: patched, and generated anew where it can be.

    Raises:
        PlanError: ``unknown-source``.
    """
    patched = source_address(r, name)
    return patched.replace("patch:", "codegen:", 1) if _program(r, name) else patched


def generated(r: Resolved) -> Iterator[Node]:
    """Yield the step that brings what is generated in a patched source in line with the patches."""
    for name in r.sources:
        program = _program(r, name)
        if program:
            yield _node(r, name, program)


def _program(r: Resolved, name: str) -> Program | None:
    """Return the program whose modules the generators of a source are built from; none where they do not run."""
    if r.sources[name].layout != "canonical" or not source_address(r, name).startswith("patch:"):
        return None
    return next((p for p in r.programs.values() if name in {item.source for item in p.requires}), None)


def _node(r: Resolved, name: str, program: Program) -> Node:
    owner = r.owners[name]
    patched, fetched = source_address(r, name), f"fetch:{owner}/{name}"
    path = next(item.path for item in program.requires if item.source == name)
    local = {module: of for module, of in program.local.items() if path in (module, of)}
    go_mod = program.go_mod()
    others = program.local.keys() - local
    parts, own = go_parts(r, program, ()), go_params(r, program)
    step = Step(
        name=name,
        stage="codegen",
        run="k8sbuild.stages.generate:regenerate",
        inputs=(patched, fetched, *go_inputs(r, parts)),
        params={
            **own,
            "go_line": go_mod["go"],
            "godebug": dict(program.godebug),
            "replaces": go_mod["replaces"],
            "requires": {module: v for module, v in go_mod["requires"].items() if module not in others},
            "local": local,
            "patched": patched,
            "fetched": fetched,
            "module": f"codegen:{program.name}",
        },
        cores=0,
        memory=1500,
    )
    return node("codegen", owner, "Generated", step, go={f"codegen:{program.name}": parts})
