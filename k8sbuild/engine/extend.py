"""Steps of the library's own beside those of plugins: what the developer's commands run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from k8sbuild.build import host_platform
from k8sbuild.errors import UsageError
from k8sbuild.kinds import GoModule, Step

from .contribute import Contribution
from .graph import Graph, Node, connect
from .lower import Resolved, lower

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8sbuild.plugins import Plugin
    from k8sbuild.project import Prepared

__all__ = ["Ask", "extended", "with_go"]

#: What a command asks of a Go module: parameters for its step, and the addresses that they name.
Ask = Callable[[GoModule], tuple[Mapping[str, Any], tuple[str, ...]]]


def extended(resolved: Resolved, steps: Iterable[tuple[Plugin, Step]]) -> Graph:
    """Return the graph of some steps and of what they need, and of nothing else.

    Args:
        resolved: the build that the steps are added to.
        steps: each with the plugin under whose name it gets its address.

    Raises:
        PlanError: as for a step that a plugin yields itself.
    """
    mine = [Contribution(plugin=plugin, stage=step.stage, item=step) for plugin, step in steps]
    contributions = replace(resolved.contributions, items=(*resolved.contributions.items, *mine))
    graph = connect(lower(replace(resolved, contributions=contributions)))
    return graph.wanted(f"{c.stage}:{c.plugin.name}/{c.item.name}" for c in mine)


def with_go(prepared: Prepared, name: str, run: str, ask: Ask) -> Graph:
    """Return the graph of a step a Go module that sees what the module's compile step sees, on this machine.

    Args:
        name: the steps are named ``<module>-<name>``.
        run: their function, ``module:function``.
        ask: gives what is added to the compile step's parameters and inputs.

    Raises:
        UsageError: ``no-go-module``.
    """
    binaries: dict[str, Node] = {}
    for node in prepared.graph.nodes.values():
        if node.made_of == "GoBinary" and node.target == prepared.build.target and _has_code(prepared, node):
            binaries.setdefault(str(node.step.params["module"]), node)
    if not binaries:
        target = prepared.build.target
        raise UsageError(f"the target {target!r} has no Go code of its own", reason="no-go-module", hint="--target=")
    steps = [_go_step(prepared, node, name, run, ask) for node in binaries.values()]
    return extended(prepared.resolved, steps)


def _has_code(prepared: Prepared, binary: Node) -> bool:
    """Say whether a program's Go module has packages of the build's own, and is not upstream's or only requires it."""
    params = prepared.graph.nodes[str(binary.step.params["module"])].step.params
    return bool(params.get("overlays") or params.get("generators"))


def _go_step(prepared: Prepared, node: Node, name: str, run: str, ask: Ask) -> tuple[Plugin, Step]:
    module = prepared.graph.nodes[str(node.step.params["module"])]
    params, inputs = ask(_item(prepared, module))
    host = host_platform()
    # Modules whose code is this build's own trees: packages that link them are many times as big.
    local = tuple(cast(Mapping[str, str], module.step.params["local"]))
    seen: dict[str, Any] = {**node.step.params, "os": host.os, "arch": host.arch, "local": local, **params}
    step = Step(
        name=f"{module.address.name}-{name}",
        stage="validate",
        run=run,
        inputs=tuple(dict.fromkeys((*node.step.inputs, *inputs))),
        params=seen,
        env=dict(node.step.env),
        reuse=False,
        cores=node.step.cores,
        memory=node.step.memory,
    )
    return prepared.setup.plugins.get(node.address.plugin), step


def _item(prepared: Prepared, module: Node) -> GoModule:
    programs = prepared.resolved.programs.values()
    return next(p.module for p in programs if (p.plugin, p.module.name) == (module.address.plugin, module.address.name))
