"""Live progress on a terminal."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from .words import duration, progress

if TYPE_CHECKING:
    from k8sbuild.engine.events import Event

__all__ = ["Terminal"]

_BAR = 24


@dataclass(slots=True)
class _Running:
    """A step that runs."""

    spinner: Spinner
    started: float = field(default_factory=time.monotonic)
    what: str = ""
    done: int = 0
    total: int = 0


class Terminal:
    """An observer that keeps one row for each running step and leaves one line for each finished one.

    A context manager: the rows are there from its beginning to its end. Every
    look (`rich` refreshes in a thread of its own) and every event take the
    same lock.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._guard = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._head = "resolving versions"
        self._steps = 0
        self._settled = 0
        self._started = time.monotonic()
        self._spinner = Spinner("dots")
        # last, since it renders at once
        self._live = Live(console=self._console, get_renderable=self._render, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        with self._guard:
            line = self._take(event)
        if line is not None:
            self._live.console.print(line)

    def _take(self, event: Event) -> Text | None:
        data = event.data
        match event.kind:
            case "run-started":
                self._head = f"{data.get('target', '')} {data.get('k8s', '')} {data.get('platform', '')}"
            case "plan":
                self._steps = len(data.get("steps", ()))
            case "verify":
                self._steps += int(data["steps"])
            case "step-started":
                self._running[event.step] = _Running(Spinner("dots"))
            case "progress":
                self._progress(event)
            case "step-reused" | "step-skipped":
                self._settle(event.step)
            case "step-finished":
                self._settle(event.step)
                return _finished(event.step, data)
            case "step-failed":
                self._settle(event.step)
                return Text.assemble(("✗ ", "bold red"), (event.step, "red"))
            case "step-stopped":
                self._settle(event.step)
                return Text.assemble(("- ", "bold"), f"{event.step} stopped: {data.get('why', '')}")
            case "warning":
                return Text.assemble(("! ", "bold yellow"), str(data.get("message", "")))
        return None

    def _settle(self, step: str) -> None:
        self._running.pop(step, None)
        self._settled += 1

    def _progress(self, event: Event) -> None:
        if not event.step and not self._steps:
            far = progress(str(event.data["what"]), int(event.data["done"]), int(event.data["total"]))
            self._head = f"resolving versions: {far}"
        running = self._running.get(event.step)
        if running is not None:
            running.what = str(event.data["what"])
            running.done, running.total = int(event.data["done"]), int(event.data["total"])

    def _render(self) -> RenderableType:
        with self._guard:
            rows = Table.grid(padding=(0, 1))
            for step, running in self._running.items():
                rows.add_row(*_row(step, running))
            counts = f"  {self._settled} of {self._steps} steps" if self._steps else ""
            passed = duration(time.monotonic() - self._started)
            self._spinner.text = Text(f"{self._head}{counts}  {passed}", style="bold")
            return Group(rows, self._spinner) if self._running else self._spinner


def _row(step: str, running: _Running) -> tuple[RenderableType, ...]:
    """Return spinner, step, bar or nothing, how far, how long."""
    stage, _, name = step.partition(":")
    bar: RenderableType = ""
    if running.total > 1:
        bar = ProgressBar(total=running.total, completed=min(running.done, running.total), width=_BAR)
    far = progress(running.what, running.done, running.total) if running.what else ""
    passed = duration(time.monotonic() - running.started)
    return running.spinner, Text.assemble((stage, "cyan"), " ", name), bar, far, passed


def _finished(step: str, data: Any) -> Text:
    why = f"  {data['why']}" if data.get("why") else ""
    return Text.assemble(("✓ ", "bold green"), step, f"  {duration(float(data.get('seconds', 0)))}", (why, "dim"))
