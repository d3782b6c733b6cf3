"""What lies beside the store in the cache: Go's caches, toolchains, downloads, rests of runs that were killed.

Each is a folder that is used or removed whole; when it was used last is its
modification time (`k8sbuild.store.layout.touch`). What is in Go's compile cache
goes by age as Go decides; where all is too large, it goes whole.
"""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.store.files import disk_errors
from k8sbuild.store.locks import is_held, lock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Beside", "sweep"]

_DAY = 86400.0
#: Before a lease, while versions are resolved, folders are in use whose times are no older than this.
_GRACE = 3600.0
#: A folder that is being removed; one that is there was left by a `gc` that was killed.
_ASIDE = ".gc-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A folder of the cache beside the store.

    Args:
        name: relative to the cache.
        size: bytes that it has, or had.
        removed: it went, or would go.
    """

    name: str
    size: int
    removed: bool


def sweep(
    cache: Path,
    *,
    max_age_days: float | None,
    max_bytes: int | None = None,
    now: float,
    busy: bool,
    dry_run: bool = False,
) -> tuple[Beside, ...]:
    """Remove what was not used for long, and the rests of dead runs; say of everything how large it is.

    Where more than ``max_bytes`` stay, what is quickest made again goes first. What was used in the last hour stays.

    The caller holds the store's ``gc`` lock, so that no run begins.

    Args:
        cache: the folder that the store is in.
        max_age_days: folders not used for longer go; with None they stay.
        max_bytes: how much may stay; any size with None.
        now: Unix time.
        busy: runs hold leases: only rests go.
        dry_run: only report.

    Raises:
        StoreError: the cache cannot be written.
    """
    limits = {path: limit for path, limit in _rests(cache, now - _GRACE) if path.is_dir()}
    if max_age_days is not None and not busy:
        oldest = now - max(max_age_days * _DAY, _GRACE)
        limits |= {path: oldest for path in _whole(cache) if path.is_dir()}
    rows: dict[Path, Beside] = {}
    for path in sorted({*limits, *_folders(cache)}):
        size = _size(path)
        gone = path in limits and _goes(path, limits[path], dry_run)
        rows[path] = Beside(name=path.relative_to(cache).as_posix(), size=size, removed=gone)
    if max_bytes is not None and not busy:
        _shrink(rows, [*_whole(cache), cache / "gocache"], max_bytes, now - _GRACE, dry_run)
    return tuple(rows.values())


def _shrink(rows: dict[Path, Beside], order: list[Path], max_bytes: int, limit: float, dry_run: bool) -> None:
    """Remove folders in order until the rest fits."""
    total = sum(row.size for row in rows.values() if not row.removed)
    for path in order:
        if total > max_bytes and path in rows and not rows[path].removed and _goes(path, limit, dry_run):
            rows[path] = replace(rows[path], removed=True)
            total -= rows[path].size


def _goes(path: Path, limit: float, dry_run: bool) -> bool:
    return path.stat().st_mtime < limit and (dry_run or _remove(path, limit))


def _whole(cache: Path) -> Iterator[Path]:
    """Yield what can be made or fetched again as a whole, without the network first."""
    yield cache / "modcache"
    yield from sorted(cache.glob("toolchains/[!.]*/"))
    yield cache / "download"
    yield from sorted(cache.glob("bootstrap/[!.]*/"))


def _rests(cache: Path, recent: float) -> Iterator[tuple[Path, float]]:
    """Yield what only a run that was killed leaves, and since when a living one may be at it."""
    for path in (*cache.glob(f"{_ASIDE}*"), *cache.glob(f"*/{_ASIDE}*")):
        yield path, float("inf")
    for path in cache.glob("bootstrap/.go-bin-*"):
        yield path, recent
    for path in cache.glob("scratch/*/"):
        held = _lock_of(path).exists() and is_held(_lock_of(path))
        yield path, float("-inf") if held else float("inf")


def _folders(cache: Path) -> list[Path]:
    """Return every folder that a line is given to: those of toolchains one by one, the others whole."""
    top = [path for path in cache.iterdir() if path.is_dir() and path.name != "store"] if cache.is_dir() else []
    apart = ("bootstrap", "scratch", "toolchains")
    inner = [path for folder in top if folder.name in apart for path in folder.iterdir() if path.is_dir()]
    return [path for path in top if path.name not in apart] + inner


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _remove(path: Path, limit: float) -> bool:
    """Move a folder aside, look whether someone used it meanwhile, and only then remove it with its index."""
    aside = path if path.name.startswith(_ASIDE) else path.with_name(f"{_ASIDE}{path.name}")
    guarded = _lock_of(path).exists()
    with disk_errors("remove", path), lock(_lock_of(path), "gc") if guarded else nullcontext():
        if not path.is_dir():
            return False
        path.rename(aside)
        if aside.stat().st_mtime >= limit:
            aside.rename(path)
            return False
        for suffix in (".index", ".pending", ".whole"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        for parent, _, _ in os.walk(aside):
            Path(parent).chmod(0o755)  # `go` makes folders that cannot be written
        shutil.rmtree(aside)
    return True


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total
