"""The order of plugins: ``before``/``after``, then name; and what cannot be together."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, NamedTuple

from k8sbuild.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Collection

    from packaging.specifiers import SpecifierSet

    from .manager import Plugin

__all__ = ["Wanted", "ordered", "requirement"]

#: Most requirements are no more than a name, and the parser of the others takes long to load.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)


class Wanted(NamedTuple):
    """A plugin that another one names, and its versions; None for every one."""

    name: str
    versions: SpecifierSet | None = None


def ordered(plugins: tuple[Plugin, ...], without: Collection[str] = ()) -> tuple[Plugin, ...]:
    """Return plugins in the order in which they contribute.

    Args:
        without: names of plugins that somebody left out, for the message where one is required.

    Raises:
        PluginError: ``plugin-conflict``, ``plugin-requires``, ``bad-requirement`` or ``plugin-cycle``.
    """
    by_name = {plugin.name: plugin for plugin in plugins}
    for plugin in plugins:
        _check_conflicts(plugin, by_name)
        _check_requirements(plugin, by_name, without)
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
        raise PluginError(
            f"plugins want to come before each other: {circle}",
            reason="plugin-cycle",
            hint="leave one of them out with --no-plugin, or tell its author",
        ) from error
    order: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()])
        order.append(ready.pop(0))
        sorter.done(order[-1])
    return order


def requirement(plugin: Plugin, text: str) -> Wanted:
    """Read what ``requires`` and ``conflicts`` say: a plugin's name, with a version specifier or without.

    Raises:
        PluginError: ``bad-requirement``.
    """
    if _NAME.fullmatch(text):
        return Wanted(text)
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        found = Requirement(text)
    except InvalidRequirement as error:
        raise PluginError(
            f"plugin {plugin.name} names {text!r} in requires or conflicts: {error}".splitlines()[0],
            reason="bad-requirement",
            hint=f"write a name with a version specifier, like 'b>=0.1', or --no-plugin={plugin.name}",
        ) from None
    return Wanted(found.name, found.specifier)


def _fits(found: Plugin, wanted: Wanted) -> bool:
    return not found.version or wanted.versions is None or found.version in wanted.versions


def _check_conflicts(plugin: Plugin, by_name: dict[str, Plugin]) -> None:
    for text in plugin.info.conflicts:
        wanted = requirement(plugin, text)
        found = by_name.get(wanted.name)
        if found is not None and _fits(found, wanted):
            raise PluginError(
                f"plugin {plugin.name} conflicts with {text}",
                reason="plugin-conflict",
                hint=f"--no-plugin={wanted.name} or --no-plugin={plugin.name}",
            )


def _check_requirements(plugin: Plugin, by_name: dict[str, Plugin], without: Collection[str]) -> None:
    for text in plugin.info.requires:
        wanted = requirement(plugin, text)
        found = by_name.get(wanted.name)
        if found is None:
            left_out = wanted.name in without
            raise PluginError(
                f"plugin {plugin.name} requires {text}, which is {'left out' if left_out else 'not there'}",
                reason="plugin-requires",
                hint=("let it take part" if left_out else "install the package that has it")
                + f", or --no-plugin={plugin.name}",
            )
        if not _fits(found, wanted):
            raise PluginError(
                f"plugin {plugin.name} requires {text}; {found.name} {found.version} is installed",
                reason="plugin-requires",
                hint=f"install such a version of {found.distribution or found.name}, or --no-plugin={plugin.name}",
            )
