"""Series and edits: one patch step for each source that something changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild.engine import local
from k8sbuild.engine.keys import as_data
from k8sbuild.errors import PatchError, PlanError, suggest
from k8sbuild.kinds import Edit, PatchSeries, Step

from .resolved import Resolved, node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.engine.graph import Node
    from k8sbuild.engine.local import Files
    from k8sbuild.plugins import Plugin

__all__ = ["PROJECT", "Place", "changes_of", "patches", "series_files", "series_missing", "series_of", "source_address"]

#: Whose the series are that the project's configuration names, and what each is called.
PROJECT = "project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a series of a build is.

    Args:
        owner: the plugin, or :data:`PROJECT`.
        name: the series' in messages and keys.
        source: that it changes.
        folder: of its patches.
        only: the patches that are taken; None for all.
    """

    owner: str
    name: str
    source: str
    folder: Path
    only: tuple[str, ...] | None


def series_of(r: Resolved) -> Iterator[Place]:
    """Yield where every series of a build is; one for a source that the build has not is the project's for another."""
    for plugin, series in r.contributions.of(PatchSeries):
        yield _place(plugin, series)
    for source in r.user_patches:
        if source in r.sources:
            yield _place(None, _own(r, source))


def _own(r: Resolved, source: str) -> PatchSeries:
    return PatchSeries(name=PROJECT, source=source, root=str(r.user_patches[source]))


def _place(plugin: Plugin | None, series: PatchSeries) -> Place:
    owner = _who(plugin)
    folder = plugin.folder / series.root if plugin else Path(series.root)
    return Place(owner=owner, name=f"{owner}/{series.name}", source=series.source, folder=folder, only=series.only)


def source_address(r: Resolved, name: str) -> str:
    """Return where a source's tree is: patched if anything patches it.

    Raises:
        PlanError: ``unknown-source``.
    """
    if name not in r.sources:
        raise PlanError(f"no source {name!r}{suggest(name, r.sources)}", reason="unknown-source")
    stage = "patch" if any(True for _ in changes_of(r, name)) else "fetch"
    return f"{stage}:{r.owners[name]}/{name}"


def patches(r: Resolved) -> Iterator[Node]:
    """Yield the step that patches each source that something changes.

    Raises:
        PlanError: ``unknown-source``.
    """
    for plugin, item in _changes(r):
        if item.source not in r.sources:
            raise PlanError(
                f"plugin {plugin.name}: {type(item).__name__} {item.name!r} is for the source {item.source!r}, "
                f"which nobody fetches{suggest(item.source, r.sources)}",
                reason="unknown-source",
            )
    for source in r.sources:
        items = list(changes_of(r, source))
        if items:
            yield _patch_node(r, source, items)


def _patch_node(r: Resolved, source: str, items: list[tuple[Plugin | None, Any]]) -> Node:
    files = {}
    rows = []
    for plugin, item in items:
        who = _who(plugin)
        row = {"plugin": who, "after": sorted(plugin.info.after) if plugin else ["*"], "item": as_data(item)}
        row["part"] = f"{'edit' if isinstance(item, Edit) else 'series'}:{who}/{item.name}"
        if isinstance(item, PatchSeries):
            name, files[name] = series_files(plugin, item, source)
            only = None if item.only is None else list(item.only)
            row |= {"local": name, "item": {"name": item.name, "only": only}}
        rows.append(row)
    step = Step(
        name=source,
        stage="patch",
        run="k8sbuild.stages.patch:apply",
        inputs=(f"fetch:{r.owners[source]}/{source}",),
        params={"patches": rows, "version": r.sources[source].version, "source": source},
        memory=200,
    )
    return node("patch", r.owners[source], "Patches", step, local=files)


def series_files(plugin: Plugin | None, series: PatchSeries, source: str) -> tuple[str, Files]:
    """Return a series' name in messages and keys, and the files of its folder.

    Args:
        plugin: whose it is; none where it is the project's own.
    """
    place = _place(plugin, series)
    missing = series_missing(place.name, place.folder, source if plugin is None else "")
    return place.name, local.folder(place.folder, missing)


def _who(plugin: Plugin | None) -> str:
    return plugin.name if plugin else PROJECT


def series_missing(name: str, root: Path, mine: str = "") -> PatchError:
    """Return the error of a series whose folder is not there.

    Args:
        mine: the source, where the series is the project's own: `patch-refresh` makes its folder.
    """
    first = f"k8sbuild patch-refresh --start --source={mine}, or mkdir -p {root}"
    return PatchError(
        f"{name}: {root}: no such folder of patches",
        reason="series-missing",
        hint=first if mine else "PatchSeries.root is relative to the plugin's Python package",
    )


def changes_of(r: Resolved, source: str) -> Iterator[tuple[Plugin | None, Any]]:
    """Yield what changes a source, plugin by plugin, each one's series before its edits; the user's own last."""
    # The stage's contributions are in the order of plugins; those of all stages together are not.
    plugins = dict.fromkeys(c.plugin.name for c in r.contributions.items if c.stage == "patch")
    for name in plugins:
        for plugin, item in _changes(r):
            if plugin.name == name and item.source == source:
                yield plugin, item
    if source in r.user_patches:
        yield None, _own(r, source)


def _changes(r: Resolved) -> Iterator[tuple[Plugin, PatchSeries | Edit]]:
    yield from r.contributions.of(PatchSeries)
    yield from r.contributions.of(Edit)
