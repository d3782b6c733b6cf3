"""A server under writes for ten minutes: latency, the log beside the database, memory afterwards."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.api import Answers, Request, Target, send
from bench.line import Line, Outcome
from bench.lone import lone
from bench.servers import memory_of
from bench.stats import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.workspace import Workspace

_P99, _LOG, _GROWTH = 1.0, 64.0, 0.2
_RATE, _SECONDS, _CLIENTS = 500.0, 600.0, 32
_LIVE = 4_900
_SETTLE, _REST = 60.0, 300.0
_PATH = "/api/v1/namespaces/default/configmaps"


def churn(first: int, count: int) -> Iterator[Request]:
    """Create objects in their order, each with the update of one that is in the middle and the delete of the oldest."""
    for number in range(first, first + count):
        yield create(number)
        yield Request(method="PUT", path=f"{_PATH}/soak-{number - _LIVE // 2}", body=_object(number - _LIVE // 2))
        yield Request(method="DELETE", path=f"{_PATH}/soak-{number - _LIVE}")


def create(number: int) -> Request:
    """Return the request that makes an object."""
    return Request(method="POST", path=_PATH, body=_object(number))


def _object(number: int) -> object:
    """Return a ConfigMap of 1 to 4 KiB."""
    size = 1024 + number * 977 % (3 * 1024) - 300  # so much is around it
    metadata = {"name": f"soak-{number}", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": "v" * size}}


class _Longest:
    """The largest size that a file has had, in MiB."""

    def __init__(self) -> None:
        self.size = 0.0

    @contextmanager
    def watching(self, path: Path) -> Iterator[None]:
        """Look at the file ten times a second, for the time of the block."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(0.1):
                self.size = max(self.size, path.stat().st_size / 2**20 if path.exists() else 0.0)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def measure(workspace: Workspace) -> Outcome:
    """Fill, settle, write for ten minutes, rest for five."""
    log = _Longest()
    with lone(workspace, "soak") as server:
        target = Target(port=server.port, certificate=server.admin)
        filled = send(target, (create(number) for number in range(_LIVE)), rate=_RATE, clients=_CLIENTS)
        time.sleep(_SETTLE)
        before = memory_of([server.process]).rss
        with log.watching(server.data / "db" / "state.db-wal"):
            answers = send(target, churn(_LIVE, int(_RATE * _SECONDS / 3)), rate=_RATE, clients=_CLIENTS)
        peak = memory_of([server.process]).rss
        time.sleep(_REST)
        after = memory_of([server.process]).rss
    return _outcome(answers, [*filled.errors, *answers.errors], log.size, (before, peak, after))


def _outcome(answers: Answers, errors: list[str], log: float, memory: tuple[float, float, float]) -> Outcome:
    before, peak, after = memory
    p99 = percentile(answers.seconds, 99)
    growth = after / before - 1
    return Outcome(
        measured=f"{len(errors)} errors, p99 {p99 * 1000:.0f} ms, log ≤ {log:.0f} MiB, memory {growth:+.0%}",
        met=not errors and p99 <= _P99 and log <= _LOG and growth <= _GROWTH,
        samples={
            "latency, s (p50, p99, p99.9, largest)": [percentile(answers.seconds, p) for p in (50, 99, 99.9, 100)],
            "memory, MiB (before, at the end of the load, after the rest)": [before, peak, after],
        },
        facts={"requests": len(answers.seconds), "first errors": errors[:3]},
    )


LINE = Line(
    name="soak",
    what="500 create, update and delete requests a second for ten minutes",
    target=f"no error, p99 ≤ {_P99:.0f} s, log ≤ {_LOG:.0f} MiB, memory within {_GROWTH:.0%}",
    how=f"{_CLIENTS} clients of one server's API server, all its components running, send {_RATE:.0f} requests a "
    f"second for {_SECONDS / 60:.0f} minutes: in turn the create of a ConfigMap of 1 to 4 KiB, the update of one that "
    f"is there for a while and the delete of the oldest of {_LIVE}. The time of each counts from when it was due. "
    f"`log` is the largest size of SQLite's log then. Memory is resident, {_REST / 60:.0f} minutes after the load "
    f"against {_SETTLE:.0f} s after the first {_LIVE} objects were made.",
    measure=measure,
)
