"""Work trees: a real folder kept equal to a tree, by difference.

Beside the folder lies ``<folder>.index``: the digest of every file and the
state (`Stat`) it had when it was written. A file whose state is the same is
not read again, unless it changed so shortly before the index was written that
a later change might not show (the window is two seconds); those are hashed.
``<folder>.pending`` names, while a sync runs, the files that it touches, so
that the rest of an interrupted one is not taken for someone's change.
"""

from __future__ import annotations

import json
import os
import stat
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k8sbuild.errors import StoreError
from k8sbuild.store.files import RACY_NS as _RACY_NS
from k8sbuild.store.files import TMP_PREFIX, Found, Stat, disk_errors, sha256_of, stat_of, walk, write_file
from k8sbuild.store.tree import folders_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from k8sbuild.store.store import Store
    from k8sbuild.store.tree import Entry, Tree

__all__ = ["SyncReport", "sync"]

_SCHEMA = "k8sbuild/index/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What a sync did; no path is in two of the three.

    Args:
        written: files that are new or differ from the tree before.
        removed: files that the tree no longer has.
        restored: files that someone else changed, removed or added since the last sync, put back as the tree says.
    """

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Index:
    tree: str = ""
    written_ns: int = 0
    stats: dict[str, Stat] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def doubtful(self) -> set[str]:
        limit = self.written_ns - _RACY_NS
        return {path for path, state in self.stats.items() if state[1] >= limit or state[2] >= limit}


@dataclass(frozen=True, slots=True)
class _Plan:
    """What differs; *actual* is the digest by path of what is in the folder."""

    actual: dict[str, str]
    write: list[str]
    chmod: list[str]
    remove: list[str]
    foreign: set[str]


def sync(store: Store, tree: Tree, folder: Path) -> SyncReport:
    """Make *folder* equal to *tree*; files that are equal already are not touched.

    The caller holds the work tree's lock. Files are copies, never links into the store. Changes by others are put
    back and named in the report.

    Args:
        store: holds the contents.
        tree: what the folder shall be.
        folder: made when missing; ``<folder>.index`` and ``<folder>.pending`` beside it are ours as well.

    Raises:
        StoreError: ``folder-not-ours``, it has files but no index; ``store-damaged``; ``disk-full``, ….

    >>> sync(store, tree, tmp_path / "work").written                     # doctest: +SKIP
    ('go.mod',)
    """
    index_path, pending_path = (folder.with_name(folder.name + end) for end in (".index", ".pending"))
    _refuse_strange(folder, index_path, pending_path)
    index, pending = _load_index(index_path), _load_pending(pending_path)
    found = walk(folder)
    doubtful = index.doubtful()
    if not doubtful and not pending and index.tree == tree.digest and index.stats == found.files:
        _remove_folders(folder, found.folders, folders_of(index.stats))
        return SyncReport()
    plan = _compare(folder, tree, index, pending, found, doubtful)
    touched = {*plan.write, *plan.chmod, *plan.remove}
    if touched:
        write_file(pending_path, json.dumps(sorted(touched | pending)).encode())
    stats = _apply(store, tree, folder, plan, found)
    states = tree.states()
    _save_index(index_path, tree.digest, stats, {path: states[path][0] for path in stats})
    with disk_errors("remove", pending_path):
        pending_path.unlink(missing_ok=True)
    return _report(plan)


def _refuse_strange(folder: Path, index: Path, pending: Path) -> None:
    with disk_errors("list", folder):
        if index.exists() or pending.exists() or not folder.exists() or not any(folder.iterdir()):
            return
    raise StoreError(
        f"{folder} has files, but no work tree of ours is known there; it is left as it is",
        reason="folder-not-ours",
        hint=f"move it away, or remove it if nothing in it is yours: rm -r {folder}",
    )


def _compare(folder: Path, tree: Tree, index: _Index, pending: set[str], found: Found, doubtful: set[str]) -> _Plan:
    wanted = tree.states()
    actual: dict[str, str] = {}
    foreign: set[str] = set()
    for path, state in found.files.items():
        if index.stats.get(path) == state and path not in doubtful:
            actual[path] = index.digests[path]
            continue
        actual[path] = _hash(folder / path, state)
        now = actual[path], state.mode & 0o7777
        if now not in (_known(index, path), wanted.get(path)) and path not in pending and not _is_rest(path):
            foreign.add(path)
    gone = index.stats.keys() - found.files.keys() - pending
    foreign |= gone & wanted.keys()
    write = [path for path, (digest, _) in wanted.items() if actual.get(path) != digest]
    rewritten = set(write)
    chmod = [
        path for path, (_, mode) in wanted.items() if path not in rewritten and found.files[path].mode & 0o7777 != mode
    ]
    remove = [path for path in found.files if path not in wanted]
    return _Plan(actual, write, chmod, remove, foreign)


def _known(index: _Index, path: str) -> tuple[str, int] | None:
    state = index.stats.get(path)
    return (index.digests[path], state.mode & 0o7777) if state else None


def _is_rest(path: str) -> bool:
    return path.rpartition("/")[2].startswith(TMP_PREFIX)


def _hash(path: Path, state: Stat) -> str:
    if not stat.S_ISREG(state.mode):
        return ""
    with disk_errors("read", path):
        return sha256_of(path)


def _apply(store: Store, tree: Tree, folder: Path, plan: _Plan, found: Found) -> dict[str, Stat]:
    with disk_errors("write", folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in plan.remove:
            os.unlink(folder / path)
    _remove_folders(folder, found.folders, folders_of(tree.entries))
    stats = {path: found.files[path] for path in plan.actual if path in tree.entries}
    # In the order of the store, so that the disk reads forward.
    stats.update(store.lay_out(sorted((tree.entries[path] for path in plan.write), key=_place), folder))
    with disk_errors("change the mode of", folder):
        for path in plan.chmod:
            os.chmod(folder / path, tree.entries[path].mode)
            stats[path] = stat_of(os.lstat(folder / path))
    return stats


def _place(entry: Entry) -> tuple[str, int]:
    return entry.blob, entry.offset


def _remove_folders(folder: Path, found: set[str], wanted: set[str]) -> None:
    with disk_errors("remove folders of", folder):
        for path in sorted(found - wanted, reverse=True):
            os.rmdir(folder / path)


def _report(plan: _Plan) -> SyncReport:
    written = {*plan.write, *plan.chmod} - plan.foreign
    removed = {path for path in plan.remove if not _is_rest(path)} - plan.foreign
    return SyncReport(
        written=tuple(sorted(written)), removed=tuple(sorted(removed)), restored=tuple(sorted(plan.foreign))
    )


def _load_index(path: Path) -> _Index:
    """Read the index; a missing or damaged one knows nothing, so that every file is hashed."""
    try:
        document = json.loads(path.read_bytes())
        if document["schema"] != _SCHEMA:
            return _Index()
        paths, joined = document["paths"], document["digests"]
        digests = [joined[at : at + 64] for at in range(0, len(joined), 64)]
        stats = map(Stat._make, zip(*document["stats"], strict=True))
        return _Index(
            document["tree"],
            document["written_ns"],
            dict(zip(paths, stats, strict=True)),
            dict(zip(paths, digests, strict=True)),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return _Index()


def _save_index(path: Path, tree: str, stats: Mapping[str, Stat], digests: Mapping[str, str]) -> None:
    document = {
        "schema": _SCHEMA,
        "tree": tree,
        "written_ns": time.time_ns(),
        "paths": list(stats),
        "digests": "".join(digests.values()),
        "stats": [[getattr(state, name) for state in stats.values()] for name in Stat._fields],
    }
    write_file(path, json.dumps(document, separators=(",", ":")).encode("ascii"))


def _load_pending(path: Path) -> set[str]:
    try:
        return set(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return set()
