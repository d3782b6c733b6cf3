"""Asks every plugin's hooks once, and checks what they yield."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from k8sbuild.errors import PlanError, PluginError, suggest
from k8sbuild.kinds import (
    STAGES,
    Archive,
    ArchiveFile,
    Artifact,
    Check,
    Collect,
    Edit,
    Generator,
    GoBinary,
    GoModule,
    GoReplace,
    GoRequire,
    ImageBundle,
    OciImage,
    Overlay,
    PatchSeries,
    RootFs,
    Source,
    Stage,
    Step,
    SystemdUnit,
    Template,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from k8sbuild.build import Build
    from k8sbuild.plugins import Plugin, Plugins

__all__ = ["ALLOWED", "Contribution", "Contributions", "gather"]

#: What the hook of each stage may yield; :mod:`k8sbuild.hookspecs` says the same to people and type checkers.
ALLOWED: dict[Stage, tuple[type, ...]] = {
    "fetch": (Source, Step),
    "patch": (PatchSeries, Edit, Step),
    "codegen": (GoModule, Overlay, Template, SystemdUnit, Generator, GoRequire, GoReplace, Step),
    "compile": (GoBinary, Step),
    "package": (Archive, ArchiveFile, Artifact, OciImage, ImageBundle, RootFs, Step),
    "validate": (Check, Step),
}

#: What belongs to a Go module.
_OF_MODULES = (Overlay, Generator, GoRequire, GoReplace, GoBinary)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one plugin yielded, and in which stage."""

    plugin: Plugin
    stage: Stage
    item: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """Everything that the plugins of a build yielded, in the engine's order."""

    items: tuple[Contribution, ...]

    def of(self, kind: type[_T]) -> Iterator[tuple[Plugin, _T]]:
        """Yield ``(plugin, item)`` of a kind."""
        for contribution in self.items:
            if isinstance(contribution.item, kind):
                yield contribution.plugin, contribution.item

    def collect(self, wanted: Collect) -> list[list[str]]:
        """Return ``[plugin, name, value]`` of each item of a kind that carries a label."""
        return [
            [c.plugin.name, c.item.name, c.item.labels[wanted.label]]
            for c in self.items
            if type(c.item).__name__ == wanted.kind and wanted.label in getattr(c.item, "labels", {})
        ]


def gather(plugins: Plugins, build: Build) -> Contributions:
    """Call each stage's hook of each plugin that contributes to the target.

    Raises:
        PluginError: ``bad-contribution`` or ``duplicate-name``, naming plugin and hook.
        PlanError: ``unknown-module``.
    """
    found: list[Contribution] = []
    for stage in STAGES:
        for plugin in plugins:
            if plugin.contributes_to(build.target):
                items = plugins.ask(plugin, f"k8sbuild_{stage}", build=build.of(plugin.name))
                found += [Contribution(plugin=plugin, stage=stage, item=_checked(plugin, stage, i)) for i in items]
    _refuse_duplicates(found)
    return Contributions(items=tuple(_with_modules(found)))


def _checked(plugin: Plugin, stage: Stage, item: Any) -> Any:
    if not isinstance(item, ALLOWED[stage]):
        names = ", ".join(kind.__name__ for kind in ALLOWED[stage])
        raise PluginError(
            f"plugin {plugin.name}: k8sbuild_{stage} yielded {type(item).__name__}; it may yield {names}",
            reason="bad-contribution",
            hint=f"--no-plugin={plugin.name}",
        )
    return item


def _refuse_duplicates(items: Iterable[Contribution]) -> None:
    seen: set[tuple[str, str, str, str]] = set()
    for c in items:
        # Steps are unique per stage, everything else per kind.
        key = (c.plugin.name, type(c.item).__name__, c.item.name, getattr(c.item, "stage", ""))
        if key in seen:
            raise PluginError(
                f"plugin {c.plugin.name} yields two {key[1]} named {c.item.name!r}",
                reason="duplicate-name",
                hint=f"--no-plugin={c.plugin.name}",
            )
        seen.add(key)


def _with_modules(items: list[Contribution]) -> Iterator[Contribution]:
    """Yield contributions; those that belong to a Go module name it, whether or not they said it."""
    known = [f"{c.plugin.name}/{c.item.name}" for c in items if isinstance(c.item, GoModule)]
    for c in items:
        of_module = isinstance(c.item, _OF_MODULES)
        yield replace(c, item=replace(c.item, module=_module(c, known))) if of_module else c


def _module(c: Contribution, known: list[str]) -> str:
    named: str = c.item.module
    if named in known or (not named and len(known) == 1):
        return named or known[0]
    instead = f", not {named!r}{suggest(named, known)}" if named else ""
    raise PlanError(
        f"plugin {c.plugin.name}: {type(c.item).__name__} {c.item.name} must name one of the modules "
        f"{', '.join(known) or '(none)'}{instead}",
        reason="unknown-module",
        hint="" if known else f"PluginInfo.targets of {c.plugin.name} says which targets it contributes to",
    )
