"""Laying out an edit tree: with the whole series, or up to a patch that does not apply or is to be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.config import find_project
from k8sbuild.errors import PatchError, UsageError
from k8sbuild.store.files import write_file
from k8sbuild.store.worktree import sync

from .place import REJECTED, EditTree, Place
from .series import Series, whole

if TYPE_CHECKING:
    from k8sbuild.building import Observers
    from k8sbuild.patching.partial import Stop
    from k8sbuild.project import Request

__all__ = ["lay_out", "make_own_series", "start"]


def start(request: Request, source: str, *, patch: str = "", observers: Observers = ()) -> EditTree:
    """Lay out a source with every series and edit of the build applied.

    Where a patch does not apply, the tree has what is before it and what applies of it; the rest lies beside the
    files that it is for, ``<file>.rej``. An edit that does not apply is left out then.

    Args:
        patch: the last one to apply, to change it (``0003-name.patch``, ``0003``).

    Raises:
        PlanError: ``unknown-source``.
        UsageError: ``edit-tree-changed``: there is one already, with changes that are in no patch yet;
            ``unknown-patch``, ``no-series``.
        PatchError: an edit of a plugin does not apply.
    """
    place = Place.of(request, source)
    make_own_series(request, source)
    if place.exists() and place.touched():
        raise UsageError(
            f"{place.folder} has changes that are in no patch yet",
            reason="edit-tree-changed",
            hint=f"k8sbuild patch-refresh --source={source}, or remove the folder",
        )
    return lay_out(request, place, patch, observers)


def make_own_series(request: Request, source: str) -> None:
    """Make the folder of the project's own patches that k8sbuild.toml names, for the first one to be put there."""
    project = find_project(request.root)
    if source in project.patches:
        (project.root / project.patches[source]).mkdir(parents=True, exist_ok=True)


def lay_out(request: Request, place: Place, patch: str, observers: Observers) -> EditTree:
    """Write the edit tree anew, whatever is there."""
    if patch:
        series = Series.of(request, place.source, observers)
        stop = series.stop(series.named(patch))
        assert stop is not None
        return _stopped(place, series, stop)
    try:
        tree, version = whole(request, place.source, observers)
    except PatchError as error:
        if "failures" not in error.details:
            raise
        series = Series.of(request, place.source, observers)
        stop = series.stop()
        if stop is None:
            raise
        return _stopped(place, series, stop)
    sync(place.store, tree, place.folder)
    return place.record(EditTree(source=place.source, version=version, folder=str(place.folder), base=tree.digest))


def _stopped(place: Place, series: Series, stop: Stop) -> EditTree:
    tree = series.after(stop.after)
    sync(place.store, tree, place.folder)
    rejects = {f"{path}{REJECTED}": diff for path, diff in stop.rejects()}
    for path, diff in rejects.items():
        write_file(place.folder / path, diff)
    return place.record(
        EditTree(
            source=place.source,
            version=series.version,
            folder=str(place.folder),
            base=tree.digest,
            patch=stop.patch.name,
            before=series.after(stop.before).digest,
            problems=tuple(str(failure) for failure in stop.failures),
            rejects=tuple(rejects),
        )
    )
