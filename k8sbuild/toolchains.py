"""Toolchains ahead of a build: what ``setup`` fetches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .config import find_project
from .engine.events import Event
from .fetching import source_key
from .project import prepare

if TYPE_CHECKING:
    from .building import Observers
    from .project import Request

__all__ = ["fetch_toolchains"]


def fetch_toolchains(request: Request, *, observers: Observers = ()) -> list[str]:
    """Fetch the toolchains of a build and return their names.

    Args:
        observers: ``(name, function)`` that are told what is fetched.
    """
    prepared = prepare(request, log=find_project(request.root).state / "logs" / "setup.log")
    sources = {source_key(source): source for source in prepared.resolved.toolchains.values()}
    for name, source in sources.items():
        _tell(observers, Event(kind="step-started", step=name))
        prepared.fetcher.source(source)
        _tell(observers, Event(kind="step-finished", step=name))
    return list(sources)


def _tell(observers: Observers, event: Event) -> None:
    for _, observer in observers:
        observer(event)
