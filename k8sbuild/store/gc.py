"""Making room: what was not used for long is removed, never what a running build uses.

What a running build uses is what was used since its lease began, see :mod:`k8sbuild.store.lease`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from k8sbuild.store import manifest
from k8sbuild.store.audit import tree_of
from k8sbuild.store.beside import Beside, sweep
from k8sbuild.store.files import TMP_PREFIX, disk_errors, is_abandoned
from k8sbuild.store.locks import is_held, lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from k8sbuild.store.store import Store

__all__ = ["GcReport", "gc"]

_DAY = 86400.0
#: Clocks of file systems may be behind the process's; also the time that an addition without a lease has
#: between writing its blob and its manifest.
_GRACE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GcReport:
    """What `gc` removed, or would remove.

    Args:
        trees: digests.
        results: names of files.
        blobs: digests, hex.
        temporaries: paths of the rests of dead processes.
        freed: bytes.
        kept: bytes that stay.
        leases: the running builds that were seen.
        beside: what the cache has beside the store; what of it went counts in ``freed``, the rest not in ``kept``.
    """

    trees: tuple[str, ...]
    results: tuple[str, ...]
    blobs: tuple[str, ...]
    temporaries: tuple[str, ...]
    freed: int
    kept: int
    leases: tuple[str, ...]
    beside: tuple[Beside, ...] = ()


@dataclass(slots=True)
class _Tree:
    path: Path
    used: float
    blobs: set[str]
    results: list[Path] = field(default_factory=list)


def gc(
    store: Store,
    *,
    max_age_days: float | None,
    max_bytes: int | None,
    now: float,
    dry_run: bool = False,
    cache: Path | None = None,
) -> GcReport:
    """Remove trees by age of last use, then the least recently used ones until the rest fits.

    With ``cache``, what lies beside the store counts too, and goes before trees that are young enough to stay.

    Orphans (blobs and results that no tree has, manifests that cannot be read) and the temporary files of dead
    processes go as well.

    Args:
        store: what to clean.
        max_age_days: trees not used for longer go; None for any age.
        max_bytes: how much may stay, of the whole cache where it is given; None for any size. Trees of running
            builds stay even if they need more.
        now: Unix time.
        dry_run: only report.
        cache: the folder that the store is in, where :func:`k8sbuild.store.beside.sweep` cleans as well.

    Raises:
        StoreError: the store cannot be written.
    """
    with lock(store.layout.gc_lock, "gc"):
        collection = _Collection(store, now, dry_run)
        beside: tuple[Beside, ...] = ()

        def room(kept: int) -> int | None:
            nonlocal beside
            if cache is None:
                return max_bytes
            rest = None if max_bytes is None else max_bytes - kept
            beside = sweep(
                cache, max_age_days=max_age_days, max_bytes=rest, now=now, busy=bool(collection.leases), dry_run=dry_run
            )
            return None if max_bytes is None else max_bytes - sum(row.size for row in beside if not row.removed)

        report = collection.run(max_age_days, room)
        return replace(report, beside=beside, freed=report.freed + sum(row.size for row in beside if row.removed))


class _Collection:
    """One run of `gc`; the lock is held."""

    def __init__(self, store: Store, now: float, dry_run: bool) -> None:
        self.layout = store.layout
        self.dry_run = dry_run
        self.leases = self._leases()
        starts = [path.stat().st_mtime for path in self.leases]
        #: What was used since then stays.
        self.limit = min([now, *starts]) - _GRACE
        self.freed = 0

    def run(self, max_age_days: float | None, room: Callable[[int], int | None]) -> GcReport:
        """Collect; ``room`` says how many bytes may stay, and is told how many are young enough to."""
        trees, lost = self._survey()
        sizes = {path.name: path.stat().st_size for path in self.layout.blobs()}
        oldest = self.limit + _GRACE - max_age_days * _DAY if max_age_days is not None else None
        gone = [tree for tree in trees if oldest is not None and tree.used < oldest and self._is_free(tree)]
        kept = [tree for tree in trees if tree not in gone]
        stay = {blob for tree in kept for blob in tree.blobs}
        if (allowed := room(sum(sizes.get(blob, 0) for blob in stay))) is not None:
            gone += self._shrink(kept, sizes, allowed)
        removed = [tree for tree in gone if self._remove_tree(tree)]
        results = [path for tree in removed for path in tree.results] + [p for p in lost if self._remove(p)]
        used = {blob for tree in trees if tree not in removed for blob in tree.blobs}
        blobs = [path for path in self.layout.blobs() if path.name not in used and self._remove(path)]
        return self._report(removed, results, blobs, sum(sizes.values()))

    def _leases(self) -> list[Path]:
        found = sorted(self.layout.leases.glob("*.lock"))
        held = [path for path in found if is_held(path)]
        for path in found:
            if path not in held and not self.dry_run:
                path.unlink(missing_ok=True)
                path.with_name(path.name + ".holder").unlink(missing_ok=True)
        return held

    def _survey(self) -> tuple[list[_Tree], list[Path]]:
        """Return the trees, least recently used first, and the manifests and results that lead nowhere."""
        trees: dict[str, _Tree] = {}
        lost: list[Path] = []
        for path in self.layout.trees():
            try:
                used = path.stat().st_mtime
                trees["sha256:" + path.stem] = _Tree(path, used, set(manifest.read_extents(path)))
            except (OSError, ValueError):
                lost.append(path)
        for path in self.layout.results():
            tree = trees.get(tree_of(path))
            if tree is None:
                lost.append(path)
            else:
                tree.results.append(path)
                tree.used = max(tree.used, path.stat().st_mtime)
        return sorted(trees.values(), key=lambda tree: (tree.used, tree.path)), lost

    def _is_free(self, tree: _Tree) -> bool:
        return not self.leases or tree.used < self.limit

    def _shrink(self, kept: list[_Tree], sizes: dict[str, int], max_bytes: int) -> list[_Tree]:
        users: dict[str, int] = {}
        for tree in kept:
            for blob in tree.blobs:
                users[blob] = users.get(blob, 0) + 1
        total = sum(sizes.get(blob, 0) for blob in users)
        gone: list[_Tree] = []
        for tree in kept:
            if total <= max_bytes:
                break
            if not self._is_free(tree):
                continue
            gone.append(tree)
            for blob in tree.blobs:
                users[blob] -= 1
                total -= sizes.get(blob, 0) if users[blob] == 0 else 0
        return gone

    def _remove_tree(self, tree: _Tree) -> bool:
        # Results first: one that is interrupted leaves no result without its tree.
        for path in tree.results:
            self._unlink(path)
        return self._unlink(tree.path, unless_used_since=tree.used)

    def _remove(self, path: Path) -> bool:
        """Remove an orphan unless it is young: then its manifest may still come."""
        try:
            if path.stat().st_mtime >= self.limit:
                return False
        except FileNotFoundError:
            return False
        return self._unlink(path, unless_used_since=self.limit)

    def _unlink(self, path: Path, *, unless_used_since: float | None = None) -> bool:
        """Move *path* aside, look whether someone used it meanwhile, and only then remove it."""
        size = path.stat().st_size
        if not self.dry_run:
            aside = path.with_name(f"{TMP_PREFIX}{path.name}")
            with disk_errors("remove", path):
                os.replace(path, aside)
                if unless_used_since is not None and aside.stat().st_mtime > unless_used_since:
                    os.replace(aside, path)
                    return False
                aside.unlink()
        self.freed += size
        return True

    def _temporaries(self) -> list[str]:
        dead = [path for path in self.layout.temporaries() if is_abandoned(path)]
        for path in dead:
            with suppress(FileNotFoundError):
                self.freed += path.stat().st_size
                if not self.dry_run:
                    path.unlink()
        return [str(path) for path in dead]

    def _report(self, trees: list[_Tree], results: list[Path], blobs: list[Path], before: int) -> GcReport:
        blob_names = tuple(path.name for path in blobs)
        temporaries = tuple(self._temporaries())
        return GcReport(
            trees=tuple("sha256:" + tree.path.stem for tree in trees),
            results=tuple(path.name for path in results),
            blobs=blob_names,
            temporaries=temporaries,
            freed=self.freed,
            kept=max(0, before - self.freed),
            leases=tuple(path.stem for path in self.leases),
        )
