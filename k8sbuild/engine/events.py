"""Events of a run and the run log that keeps them: JSON lines, one file a run."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import StoreError
from k8sbuild.store.files import disk_errors

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Event", "Observer", "RunLog", "goes_on", "new_run_id", "read", "runs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    ``kind`` is one of ``run-started``, ``plan``, ``step-started``, ``progress``,
    ``step-finished``, ``step-reused``, ``step-failed``, ``step-stopped``,
    ``step-skipped``, ``verify`` (a second build begins), ``warning``, ``artifact``,
    ``run-finished``, ``run-failed``. ``step`` is an
    address, empty for progress before there are steps; ``time`` Unix seconds.
    """

    kind: str
    step: str = ""
    time: float = field(default_factory=time.time)
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return one line of the run log."""
        fields = {"time": round(self.time, 3), "event": self.kind, "step": self.step, **self.data}
        return json.dumps({k: v for k, v in fields.items() if v != ""}, default=str)


Observer = Callable[[Event], None]

#: Progress is for eyes; what happened is for the log.
_TRANSIENT = frozenset({"progress"})


class RunLog:
    """Appends events to a file and passes them to observers; an observer's error is reported once, never raised."""

    def __init__(self, path: Path, observers: tuple[tuple[str, Observer], ...] = ()) -> None:
        with disk_errors("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
        # Kept while the run goes on, so that others can tell that from a run that was killed.
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path = path
        self._observers = list(observers)
        self._guard = threading.RLock()

    def emit(self, kind: str, step: str = "", **data: Any) -> None:
        """Record that something happened."""
        event = Event(kind=kind, step=step, data=data)
        with self._guard:
            if kind not in _TRANSIENT:
                self._write(event)
            self._tell(event)

    def _write(self, event: Event) -> None:
        try:
            with disk_errors("write", self.path):
                self._file.write(event.to_json().encode() + b"\n")
        except StoreError:
            # What failed is told even if it cannot be kept.
            if not event.kind.endswith("-failed"):
                raise

    def _tell(self, event: Event) -> None:
        for name, observer in list(self._observers):
            try:
                observer(event)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's observer must not end a build
                self._observers.remove((name, observer))
                self.emit("warning", message=f"observer {name} failed and is left out: {error}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def new_run_id() -> str:
    """Return an id that sorts by time and is new even for two runs of one process in one second."""
    now = time.time_ns()
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(now // 10**9)) + f"-{now // 1000 % 10**6:06}-{os.getpid()}"


def runs(folder: Path) -> list[Path]:
    """Return the run logs of a project, oldest first."""
    return sorted(folder.glob("*.jsonl"))


def goes_on(path: Path) -> bool:
    """Say whether the run of a log has not ended yet."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a run log; a line that a killed run left half-written is passed over."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue
