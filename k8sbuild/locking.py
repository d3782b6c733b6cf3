"""Completing the lock, and saying whether it is complete."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .building import build
from .config import find_project
from .errors import ResolveError
from .planning import not_locked
from .project import prepare

if TYPE_CHECKING:
    from .building import Observers
    from .project import Request

__all__ = ["lock"]


def lock(request: Request, *, check: bool = False, observers: Observers = ()) -> str:
    """Add what the lock lacks by resolving and fetching; with ``check`` only say what is missing.

    Returns:
        the lock's file.

    Raises:
        ResolveError: ``not-locked`` with ``check``.
    """
    project = find_project(request.root)
    request = replace(request, flags={**request.flags, "locked": check})
    if not check:
        build(request, until="fetch", observers=observers)
    elif missing := _missing(request):
        raise ResolveError(f"not locked: {', '.join(missing)}", reason="not-locked", hint="k8sbuild lock")
    return str(project.lock)


def _missing(request: Request) -> list[str]:
    log = find_project(request.root).state / "logs" / "lock.log"
    return not_locked(prepare(request, log=log).graph)
