"""Templates, units and generators: files that codegen makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.engine import local
from k8sbuild.errors import CodegenError
from k8sbuild.kinds import Generator, Step, SystemdUnit, Template

from .programs import program_of
from .resolved import Resolved, filled, node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.engine.graph import Node
    from k8sbuild.plugins import Plugin

__all__ = ["generators", "templates"]


def templates(r: Resolved) -> Iterator[Node]:
    """Yield the step that fills in each template and unit."""
    for plugin, item in r.contributions.of(Template):
        yield _template_node(r, plugin, item, "template", item.mode)
    for plugin, unit in r.contributions.of(SystemdUnit):
        yield _template_node(r, plugin, unit, "unit", 0o644)


def _template_node(r: Resolved, plugin: Plugin, item: Template | SystemdUnit, function: str, mode: int) -> Node:
    step = Step(
        name=item.name,
        stage="codegen",
        run=f"k8sbuild.stages.codegen:{function}",
        outputs=(item.file,),
        params={"file": item.file, "values": filled(r.build.placeholders(), plugin, item, item.values), "mode": mode},
    )
    path = plugin.folder / item.path
    missing = CodegenError(f"plugin {plugin.name}: {item.name}: no template {path}", reason="template-missing")
    return node("codegen", plugin.name, type(item).__name__, step, local={"template": local.file(path, missing)})


def generators(r: Resolved) -> Iterator[Node]:
    """Yield the step of each generator."""
    for plugin, g in r.contributions.of(Generator):
        module = program_of(r, g.module, f"Generator {g.name}").module.path
        step = Step(
            name=g.name,
            stage="codegen",
            run=g.run,
            inputs=g.inputs,
            params={"module": module, **g.params},
            revision=g.revision,
        )
        yield node("codegen", plugin.name, "Generator", step)
