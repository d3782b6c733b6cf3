"""The order of plugins: ``before``/``after``, then name; and what cannot be together."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from k8sbuild.errors import PluginError

if TYPE_CHECKING:
    from .manager import Plugin

__all__ = ["ordered"]


def ordered(plugins: tuple[Plugin, ...]) -> tuple[Plugin, ...]:
    """Return plugins in the order in which they contribute.

    Raises:
        PluginError: ``plugin-conflict``, ``plugin-requires`` or ``plugin-cycle``.
    """
    by_name = {plugin.name: plugin for plugin in plugins}
    for plugin in plugins:
        _check_conflicts(plugin, by_name)
        _check_requirements(plugin, by_name)
    graph = {name: set(p.info.after) & by_name.keys() for name, p in by_name.items()}
    for plugin in plugins:
        for later in set(plugin.info.before) & by_name.keys():
            graph[later].add(plugin.name)
    return tuple(by_name[name] for name in _stable(graph))


def _stable(graph: dict[str, set[str]]) -> list[str]:
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise PluginError(f"plugins want to come before each other: {circle}", reason="plugin-cycle") from error
    order: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()])
        order.append(ready.pop(0))
        sorter.done(order[-1])
    return order


def _check_conflicts(plugin: Plugin, by_name: dict[str, Plugin]) -> None:
    for other in plugin.info.conflicts:
        if other in by_name:
            raise PluginError(
                f"plugin {plugin.name} conflicts with {other}",
                reason="plugin-conflict",
                hint=f"--no-plugin={other} or --no-plugin={plugin.name}",
            )


def _check_requirements(plugin: Plugin, by_name: dict[str, Plugin]) -> None:
    from packaging.requirements import Requirement

    for text in plugin.info.requires:
        requirement = Requirement(text)
        found = by_name.get(requirement.name)
        if found is None:
            raise PluginError(
                f"plugin {plugin.name} requires {text}, which is not there",
                reason="plugin-requires",
                hint=f"pip install k8sbuild-{requirement.name}, or --no-plugin={plugin.name}",
            )
        if found.version and found.version not in requirement.specifier:
            raise PluginError(
                f"plugin {plugin.name} requires {text}; {found.name} {found.version} is installed",
                reason="plugin-requires",
            )
