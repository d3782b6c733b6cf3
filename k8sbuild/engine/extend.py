"""Steps of the library's own beside those of plugins: what the developer's commands run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .contribute import Contribution
from .graph import Graph, connect
from .lower import Resolved, lower

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8sbuild.kinds import Step
    from k8sbuild.plugins import Plugin

__all__ = ["extended"]


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
