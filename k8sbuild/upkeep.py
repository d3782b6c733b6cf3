"""Removing things: what a project has made, and what the store has not used for long."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from .config import cache_folder
from .errors import StoreError
from .project import setup
from .store.gc import GcReport
from .store.gc import gc as collect
from .store.locks import is_held
from .store.store import Store

if TYPE_CHECKING:
    from .project import Request

__all__ = ["clean", "gc"]

_GB = 10**9


def clean(request: Request, *, everything: bool = False, dry: bool = False) -> list[str]:
    """Remove artifacts and work trees of this project; with ``everything`` run logs too. The store stays.

    Args:
        dry: only say what would go.

    Raises:
        StoreError: ``project-in-use``, a build of this project is running; nothing is removed.
    """
    base = setup(request, strict=False)
    state = base.project.state
    if builds := [path.stem for path in sorted((state / "work").glob("*.lock")) if is_held(path)]:
        raise StoreError(
            f"{base.project.root}: a build of {', '.join(builds)} is running here",
            reason="project-in-use",
            hint="wait for its end, or stop it",
        )
    gone = [base.artifacts, state / "work", state / "tmp"]
    gone += [state / "runs", state / "logs"] if everything else []
    removed = [folder for folder in gone if folder.exists()]
    for folder in removed if not dry else ():
        shutil.rmtree(folder)
    return [str(folder) for folder in removed]


def gc(request: Request, *, max_age_days: float = 30, max_gb: float = 0, dry: bool = False) -> GcReport:
    """Make room: what was not used for long goes, then caches that are made again, then the least recently used.

    Args:
        max_age_days: what was not used for longer goes: of the store, toolchains, downloads, extracted modules.
        max_gb: decimal gigabytes that may stay in the cache; any size with 0. Extracted modules go first, then
            toolchains, downloads, Go's compile cache, trees of the store. What a running build uses stays in any
            case, and beside the store what was used in the last hour.
        dry: only say what would go.

    Raises:
        StoreError: the store cannot be written.
    """
    cache = cache_folder(request.env)
    limit = round(max_gb * _GB) if max_gb else None
    return collect(
        Store(cache / "store"), max_age_days=max_age_days, max_bytes=limit, now=time.time(), dry_run=dry, cache=cache
    )
