"""Progress as lines, for CI and pipes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self, TextIO

from .stream import say
from .words import duration, progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8sbuild.engine.events import Event

__all__ = ["Plain"]


class Plain:
    """An observer that writes one line for what starts, ends, fails or is worth a warning.

    Args:
        stream: where lines go.
        every: seconds between two lines about the progress of one step.
        clock: seconds, for tests.

    >>> import sys
    >>> from k8sbuild.engine.events import Event
    >>> plain = Plain(sys.stdout)
    >>> plain(Event(kind="step-finished", step="compile:single-binary/k8s", data={"seconds": 42.0}))
    done     compile:single-binary/k8s (42 s)
    """

    def __init__(self, stream: TextIO, *, every: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._every = every
        self._clock = clock
        self._told: dict[str, float] = {}

    def __enter__(self) -> Self:
        say("resolve  versions and build lists", self._stream)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def __call__(self, event: Event) -> None:
        """Write what an event says."""
        line = self._line(event)
        if line:
            say(line, self._stream)

    def _line(self, event: Event) -> str:
        data = event.data
        match event.kind:
            case "run-started":
                return f"build    {data.get('target', '')} {data.get('k8s', '')} {data.get('platform', '')}"
            case "plan":
                return _plan(data.get("steps", ()))
            case "verify":
                return f"verify   {data['steps']} steps once more, without reuse"
            case "step-started":
                self._told[event.step] = self._clock()
                return f"start    {event.step}" + (f": {data['why']}" if data.get("why") else "")
            case "progress":
                return self._progress(event)
            case "step-finished":
                return f"done     {event.step} ({duration(float(data.get('seconds', 0)))})"
            case "step-failed":
                return f"FAILED   {event.step}"
            case "step-stopped":
                return f"stopped  {event.step}: {data.get('why', '')}"
            case "warning":
                return f"warning  {data.get('message', '')}"
        return ""

    def _progress(self, event: Event) -> str:
        now = self._clock()
        if now - self._told.get(event.step, 0.0) < self._every:
            return ""
        self._told[event.step] = now
        data = event.data
        far = progress(str(data["what"]), int(data["done"]), int(data["total"]))
        return f"...      {event.step or 'resolve'}: {far}"


def _plan(steps: list[dict[str, str]]) -> str:
    states = [step["state"] for step in steps]
    reused = states.count("reused")
    rest = len(steps) - reused - states.count("skipped")
    return f"plan     {len(steps)} steps: {reused} reused, {rest} to run or to look at"
