"""Edit trees: a patched source to work in, and its changes as a patch of a series.

An edit tree lies under ``.k8sbuild/edit/<source>``; no build reads it. Beside
it ``<source>.json`` says what it was when it was laid out, so that only what
somebody changed since becomes a patch.

>>> from pathlib import Path
>>> from k8sbuild import api
>>> request = api.Request(flags={}, env={}, root=Path("."))
>>> api.start_edit(request, "kubernetes").folder                                   # doctest: +SKIP
>>> api.refresh_patch(request, "kubernetes", plugin="mine", name="fix").patch      # doctest: +SKIP
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from hashlib import file_digest
from typing import TYPE_CHECKING

from .building import build
from .config import cache_folder, find_project
from .engine.extend import with_go
from .engine.lower import source_address
from .errors import PatchError, UsageError
from .gotest import series_of
from .patching.add import SeriesFolder
from .patching.diff import make
from .patching.tree import DictTree, File
from .project import prepare
from .store.files import walk, write_file
from .store.store import Store
from .store.worktree import sync

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .building import Observers
    from .engine.graph import Graph
    from .project import Prepared, Request
    from .store.tree import Tree

__all__ = ["EditTree", "Refreshed", "Shell", "changed", "refresh", "shell", "start"]

#: What editors and patch tools leave behind.
_LEFT = (".orig", ".rej", ".swp", "~")
#: The owner of the series that k8sbuild.toml names.
_PROJECT = "project"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditTree:
    """A source laid out for editing.

    Args:
        source: its name, and its exact ``version``.
        folder: where it lies.
        base: digest of the tree that it was laid out from.
    """

    source: str
    version: str
    folder: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """A patch that was written: its file, and the source's files that it changes."""

    patch: str
    ledger: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """How commands are run in an edit tree.

    Args:
        folder: the edit tree.
        module: a copy of the distribution's Go module that takes the source from the edit tree.
        env: the whole environment of the compile step.
    """

    folder: str
    module: str
    env: Mapping[str, str]


def start(request: Request, source: str, *, observers: Observers = ()) -> EditTree:
    """Lay out a source with every series and edit of the build applied.

    Raises:
        PlanError: ``unknown-source``.
        UsageError: ``edit-tree-changed``: there is one already, with changes that are in no patch yet.
    """
    place = _Place.of(request, source)
    if place.exists() and changed(place.base(), place.folder):
        raise UsageError(
            f"{place.folder} has changes that are in no patch yet",
            reason="edit-tree-changed",
            hint=f"k8sbuild patch-refresh --source={source}, or remove the folder",
        )
    tree, version = _patched(request, source, observers)
    sync(place.store, tree, place.folder)
    return place.record(version, tree.digest)


def changed(base: Tree, folder: Path) -> list[str]:
    """Return the paths of a folder that differ from a tree: changed, added, removed, other mode."""
    found = {
        path: state
        for path, state in walk(folder).files.items()
        if not path.endswith(_LEFT) and ".git" not in path.split("/")[:-1]
    }
    gone = [path for path in base.entries if path not in found]
    other = [path for path, state in found.items() if _differs(base, folder, path, state.size, state.mode)]
    return sorted([*gone, *other])


def _differs(base: Tree, folder: Path, path: str, size: int, mode: int) -> bool:
    entry = base.entries.get(path)
    if entry is None or entry.size != size or entry.mode != _plain(mode):
        return True
    with (folder / path).open("rb") as file:
        return file_digest(file, "sha256").hexdigest() != entry.digest


def _plain(mode: int) -> int:
    return 0o755 if mode & 0o100 else 0o644


def refresh(
    request: Request, source: str, *, plugin: str = "", name: str = "change", why: str = "", observers: Observers = ()
) -> Refreshed:
    """Write what was changed in an edit tree as a new last patch of a series, with its line and a ledger entry.

    The patch stage then runs; a patch that does not give the edit tree again is taken back.

    Args:
        plugin: whose series; the project's own (``[patches]`` of k8sbuild.toml) by default.
        name: of the patch, without number and ending.
        why: for the ledger; without it ``k8sbuild lint`` asks for it.

    Raises:
        UsageError: ``no-edit-tree``, ``nothing-changed``, ``no-series``, ``bad-value``, ``edit-tree-version``.
        PatchError: for a change that no patch may carry; ``patch-not-whole`` when other patches change the same lines.
    """
    place = _Place.of(request, source)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
        raise UsageError(f"{name!r} cannot name a patch", reason="bad-value", hint="--name=lower-case-with-dashes")
    paths, data, edited = _difference(place)
    series = _series(request, place, plugin)
    patch = series.add(name, why, data)
    try:
        tree, version = _patched(request, source, observers)
        _check_whole(tree, edited, patch)
    except BaseException:
        series.restore()
        raise
    place.record(version, tree.digest)
    return Refreshed(patch=str(patch), ledger=str(patch.with_name("ledger.toml")), files=tuple(paths))


def _difference(place: _Place) -> tuple[list[str], bytes, Tree]:
    """Return what was changed in an edit tree, as paths and as a patch, and the whole tree after it."""
    if not place.exists():
        raise UsageError(
            f"there is no edit tree of {place.source}",
            reason="no-edit-tree",
            hint=f"k8sbuild patch-refresh --start --source={place.source}",
        )
    base = place.base()
    paths = changed(base, place.folder)
    if not paths:
        raise UsageError(f"nothing was changed in {place.folder}", reason="nothing-changed", hint="edit a file there")
    old = {path: File(place.store.read(entry), entry.mode) for path in paths if (entry := base.entries.get(path))}
    new = {path: _file(place.folder / path) for path in paths if (place.folder / path).is_file()}
    changes = {path: (new[path].mode, new[path].data) if path in new else None for path in paths}
    return paths, make(DictTree(old), DictTree(new), paths), place.store.edit(base, changes)


def _check_whole(tree: Tree, edited: Tree, patch: Path) -> None:
    """Refuse a patch whose series does not give the edit tree: others after it changed the same lines."""
    if tree.digest != edited.digest:
        raise PatchError(
            f"with {patch.name} the build does not give the edit tree: later patches, or a choice of patches, differ",
            reason="patch-not-whole",
            hint="add it to the series that is applied last (--plugin), or name it in PatchSeries.only",
        )


def _file(path: Path) -> File:
    return File(path.read_bytes(), _plain(path.stat().st_mode))


def _patched(request: Request, source: str, observers: Observers) -> tuple[Tree, str]:
    """Run what patches a source; returns its tree and version."""
    found: dict[str, str] = {}

    def choose(prepared: Prepared) -> Graph:
        found["step"] = source_address(prepared.resolved, source)
        found["version"] = prepared.resolved.sources[source].version
        return prepared.graph.wanted([found["step"]])

    report = build(request, choose=choose, observers=observers)
    result = next(o.result for o in report.outcomes if o.step == found["step"])
    assert result is not None
    return Store(cache_folder(request.env) / "store").load(result.tree), found["version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a source's edit tree is, or will be."""

    source: str
    folder: Path
    store: Store

    @classmethod
    def of(cls, request: Request, source: str) -> _Place:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", source):
            raise UsageError(f"{source!r} names no source", reason="bad-value", hint="--source=kubernetes")
        folder = find_project(request.root).state / "edit" / source
        return cls(source=source, folder=folder, store=Store(cache_folder(request.env) / "store"))

    @property
    def _note(self) -> Path:
        return self.folder.with_name(f"{self.source}.json")

    def exists(self) -> bool:
        return self.folder.is_dir() and self._note.is_file()

    def record(self, version: str, base: str) -> EditTree:
        made = EditTree(source=self.source, version=version, folder=str(self.folder), base=base)
        write_file(self._note, json.dumps(asdict(made), indent=2).encode())
        return made

    def _read(self) -> dict[str, str]:
        return dict(json.loads(self._note.read_text(encoding="utf-8")))

    def version(self) -> str:
        return self._read()["version"]

    def base(self) -> Tree:
        return self.store.load(self._read()["base"])


def _series(request: Request, place: _Place, plugin: str) -> SeriesFolder:
    """Return the series that a patch is added to: a plugin's, or the project's own."""
    prepared = prepare(request, log=find_project(request.root).state / "logs" / "edit.log")
    source, who = place.source, plugin or _PROJECT
    known = {by: folder for by, of, folder in series_of(prepared) if of == source}
    if who not in known:
        hints = [f"--plugin={by}" for by in known if by != _PROJECT]
        hints.append(f'[patches] {source} = "patches/{source}" in k8sbuild.toml')
        raise UsageError(f"{who} has no series for {source}", reason="no-series", hint=", or ".join(hints))
    version = prepared.resolved.sources[source].version
    if version != place.version():
        raise UsageError(
            f"{place.folder} is of {source} {place.version()}, this build has {version}",
            reason="edit-tree-version",
            hint="give the options that it was laid out with, or write its changes down first",
        )
    return SeriesFolder(folder=known[who].resolve(), owner=who, version=version)


def shell(request: Request, source: str, *, observers: Observers = ()) -> Shell:
    """Prepare commands in a source's edit tree, which is laid out when there is none.

    Raises:
        UsageError: ``no-go-module``.
    """
    place = _Place.of(request, source)
    if not place.exists():
        start(request, source, observers=observers)
    address = ""

    def choose(prepared: Prepared) -> Graph:
        nonlocal address
        address = source_address(prepared.resolved, source)
        return with_go(prepared, "shell", "k8sbuild.stages.gotest:environment", lambda _: ({}, ()))

    report = build(request, choose=choose, observers=observers)
    results = {o.step: o.result for o in report.outcomes if o.result}
    ready = next(result for step, result in results.items() if step.endswith("-shell"))
    module = results[ready.facts["address"]]
    folder = place.folder.with_name(f"{source}.module")
    sync(place.store, place.store.load(module.tree), folder)
    trees = {**ready.facts["trees"], address: str(place.folder)}
    text = (folder / "go.mod").read_text(encoding="utf-8")
    write_file(folder / "go.mod", _redirected(text, trees).encode())
    return Shell(folder=str(place.folder), module=str(folder), env=ready.facts["env"])


def _redirected(go_mod: str, trees: Mapping[str, str]) -> str:
    """Return a go.mod whose relative replacements name folders: the edit tree, and the work trees of the others."""
    by_path = {"../../../" + address.replace(":", "/", 1): folder for address, folder in trees.items()}
    names = "|".join(re.escape(path) for path in by_path)
    return re.sub(rf"({names})(?=[/\s])", lambda found: by_path[found[1]], go_mod) if names else go_mod
