"""Writing the changes of an edit tree into a series: as a new patch, or into one that is there."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8sbuild.config import find_project
from k8sbuild.engine.lower.patches import PROJECT, series_of
from k8sbuild.errors import PatchError, UsageError
from k8sbuild.patching.add import SeriesFolder
from k8sbuild.patching.apply import Contribution, apply
from k8sbuild.patching.diff import make
from k8sbuild.patching.parse import parse
from k8sbuild.patching.tree import Overlay
from k8sbuild.project import prepare

from .place import Difference, EditTree, Place
from .series import Series, whole
from .start import lay_out, make_own_series

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from k8sbuild.building import Observers
    from k8sbuild.patching.partial import Stop
    from k8sbuild.project import Request
    from k8sbuild.store.tree import Tree

__all__ = ["Refreshed", "refresh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """A patch that was written: its file, and the source's files that it changes.

    ``new`` says whether the patch was not there before. ``tree`` is the edit tree as it is now; where a later patch
    does not apply, it is laid out up to that one.
    """

    patch: str
    ledger: str
    files: tuple[str, ...]
    new: bool
    tree: EditTree


def refresh(
    request: Request,
    source: str,
    *,
    plugin: str = "",
    name: str = "",
    why: str = "",
    patch: str = "",
    observers: Observers = (),
) -> Refreshed:
    """Write what was changed in an edit tree into a series.

    A tree that was laid out up to a patch gives that patch anew. A whole one gives a new last patch, with its line
    and a ledger entry, or with ``patch`` changes one that is there. What was written is taken back where the series
    does not give the edit tree again.

    Args:
        plugin: whose series gets a new patch; the project's own (``[patches]`` of k8sbuild.toml) by default.
        name: of a new patch, without number and ending; ``change`` by default.
        why: for the ledger; without it ``k8sbuild lint`` asks for it.
        patch: to change, ``0003-name.patch`` or ``0003``.

    Raises:
        UsageError: ``no-edit-tree``, ``nothing-changed``, ``no-series``, ``bad-value``, ``edit-tree-version``,
            ``unknown-patch``, ``patch-empty``: nothing is left of a patch.
        PatchError: for a change that no patch may carry; ``patch-not-whole`` when other patches change the same lines.
    """
    place = Place.of(request, source)
    if name and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
        raise UsageError(f"{name!r} cannot name a patch", reason="bad-value", hint="--name=lower-case-with-dashes")
    tree = place.read()
    make_own_series(request, source)
    if not place.touched():
        raise UsageError(f"nothing was changed in {place.folder}", reason="nothing-changed", hint="edit a file there")
    if tree.patch or patch:
        if name or why or plugin:
            raise UsageError(
                f"{tree.patch or patch} is changed, no patch is added: --name, --why and --plugin say nothing here",
                reason="bad-value",
                hint="leave them out",
            )
        return _again(request, place, tree, patch, observers)
    return _add(request, place, plugin, name or "change", why, observers)


def _add(request: Request, place: Place, plugin: str, name: str, why: str, observers: Observers) -> Refreshed:
    difference = place.difference(place.read().base)
    series = _folder(request, place, plugin)
    patch = series.add(name, why, difference.data)
    with _taken_back(series):
        made, _ = whole(request, place.source, observers, keep_lock=False)
        _check_whole(made, difference.edited, patch)
    return _written(patch, difference.paths, lay_out(request, place, "", observers), new=True)


def _again(request: Request, place: Place, tree: EditTree, patch: str, observers: Observers) -> Refreshed:
    series = Series.of(request, place.source, observers, keep_lock=False)
    _check_version(place, tree, series.version)
    name = _name(place, series, tree, patch)
    difference = place.difference(tree.before or tree.base)
    folder = SeriesFolder(folder=series.folder(name), owner="", version=series.version)
    file = folder.replace(name.rpartition("/")[2], _text(series, name, tree, difference))
    with _taken_back(folder):
        made = _up_to(series, name) if tree.patch else whole(request, place.source, observers, keep_lock=False)[0]
        _check_whole(made, difference.edited, file)
    return _written(file, difference.paths, lay_out(request, place, "", observers), new=False)


def _name(place: Place, series: Series, tree: EditTree, patch: str) -> str:
    """Return the whole name of the patch to write: the one that the tree ends with, or the one that is asked for."""
    name = series.named(patch) if patch else tree.patch
    if tree.patch and name != tree.patch:
        raise UsageError(
            f"{place.folder} ends with {tree.patch}", reason="bad-value", hint=f"leave out --patch={patch}"
        )
    return name


def _text(series: Series, name: str, tree: EditTree, difference: Difference) -> bytes:
    """Return the new text of a patch; what stands before its first diff is kept."""
    stop = series.stop(name)
    assert stop is not None
    data = difference.data if tree.patch else _folded(series, stop, name, difference)
    if not data:
        raise UsageError(
            f"nothing is left of {name}: {tree.source} {series.version} has it already",
            reason="patch-empty",
            hint="remove its file, its line in the series and its ledger entry",
        )
    return stop.patch.header + data


def _up_to(series: Series, name: str) -> Tree:
    stop = series.stop(name)
    assert stop is not None
    return series.after(stop.after)


def _folded(series: Series, stop: Stop, name: str, difference: Difference) -> bytes:
    """Return a patch with changes that were made on top of the whole series."""
    mine = Contribution(plugin="", after=frozenset("*"), items=(parse(name, difference.data),))
    try:
        made = apply(Overlay(series.files, stop.after), [mine])
    except PatchError as error:
        raise PatchError(
            f"{name} cannot take these changes: they are on lines of later patches",
            reason="patch-not-whole",
            hint=f"begin at that patch: k8sbuild patch-refresh --start --patch={name.rpartition('/')[2]}",
        ) from error
    before, after = Overlay(series.files, stop.before), Overlay(series.files, {**stop.after, **made.changes})
    return make(before, after, [*before.changes, *after.changes])


def _written(patch: Path, paths: tuple[str, ...], tree: EditTree, *, new: bool) -> Refreshed:
    ledger = patch.with_name("ledger.toml")
    return Refreshed(patch=str(patch), ledger=str(ledger), files=paths, new=new, tree=tree)


@contextmanager
def _taken_back(series: SeriesFolder) -> Iterator[None]:
    """Take back what was written where the block fails."""
    try:
        yield
    except BaseException:
        series.restore()
        raise


def _check_whole(tree: Tree, edited: Tree, patch: Path) -> None:
    """Refuse a patch whose series does not give the edit tree: others after it changed the same lines."""
    if tree.digest != edited.digest:
        raise PatchError(
            f"with {patch.name} the build does not give the edit tree: later patches, or a choice of patches, differ",
            reason="patch-not-whole",
            hint="add it to the series that is applied last (--plugin), or name it in PatchSeries.only",
        )


def _folder(request: Request, place: Place, plugin: str) -> SeriesFolder:
    """Return the series that a patch is added to: a plugin's, or the project's own."""
    prepared = prepare(request, log=find_project(request.root).state / "logs" / "edit.log", keep_lock=False)
    source, who = place.source, plugin or PROJECT
    known = {series.owner: series.folder for series in series_of(prepared.resolved) if series.source == source}
    if who not in known:
        hints = [f"--plugin={by}" for by in known if by != PROJECT]
        hints.append(f'[patches] {source} = "patches/{source}" in k8sbuild.toml')
        raise UsageError(f"{who} has no series for {source}", reason="no-series", hint=", or ".join(hints))
    version = prepared.resolved.sources[source].version
    _check_version(place, place.read(), version)
    return SeriesFolder(folder=known[who].resolve(), owner=who, version=version)


def _check_version(place: Place, tree: EditTree, version: str) -> None:
    if version != tree.version:
        raise UsageError(
            f"{place.folder} is of {place.source} {tree.version}, this build has {version}",
            reason="edit-tree-version",
            hint="give the options that it was laid out with, or write its changes down first",
        )
