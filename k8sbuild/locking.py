"""Completing the lock, and saying whether it is complete."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .building import build
from .config import find_project
from .errors import ResolveError, UsageError, suggest
from .fetching import source_key
from .planning import not_locked, wanted
from .project import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .building import Observers
    from .engine.graph import Graph
    from .project import Prepared, Request

__all__ = ["lock"]


def lock(request: Request, *, check: bool = False, update: Collection[str] = (), observers: Observers = ()) -> str:
    """Add what the lock lacks by resolving and fetching; with ``check`` only say what is missing.

    Args:
        update: ``source@version`` of entries to make anew, from what upstream gives now.

    Returns:
        the lock's file.

    Raises:
        ResolveError: ``not-locked`` with ``check``.
        UsageError: ``unknown-source``: the build has no such source to update; ``bad-value``: both are asked for.
    """
    if check and update:
        raise UsageError("--check changes nothing, so --update says nothing", reason="bad-value", hint="leave one out")
    project = find_project(request.root)
    flags = {**request.flags, "locked": check}
    request = replace(request, flags=flags, renewed=frozenset(update))
    if not check:
        build(request, until="fetch", choose=_choose(request) if update else None, observers=observers)
    elif missing := _missing(request):
        raise ResolveError(f"not locked: {', '.join(missing)}", reason="not-locked", hint="k8sbuild lock")
    return str(project.lock)


def _choose(request: Request) -> Callable[[Prepared], Graph]:
    def choose(prepared: Prepared) -> Graph:
        known = {source_key(node.source) for node in prepared.graph.nodes.values() if node.source}
        if unknown := sorted(request.renewed - known):
            raise UsageError(
                f"this build has no source {unknown[0]}{suggest(unknown[0], known)}",
                reason="unknown-source",
                hint=f"--update={' or '.join(sorted(known))}",
            )
        return wanted(prepared, "fetch")

    return choose


def _missing(request: Request) -> list[str]:
    log = find_project(request.root).state / "logs" / "lock.log"
    return not_locked(prepare(request, log=log).graph)
