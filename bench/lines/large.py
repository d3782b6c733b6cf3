"""The start of a server whose database is large, with nothing of it in memory."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import UUID

from bench.line import Line, Outcome
from bench.lone import binary, lone
from bench.servers import stop
from bench.stats import median, spread_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.workspace import Workspace

    Row = tuple[int, str, int, int, int, bytes, bytes | None]

_TARGET = 5.0
_BYTES = 10**9
_OBJECTS, _SIZE = 5_000, 4 * 1024


def fill(path: Path) -> int:
    """Fill the database of a stopped server with objects and their revisions; return its size."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous = OFF")
        (last,) = db.execute("SELECT MAX(id) FROM kine").fetchone()
        turn = 0
        while path.stat().st_size < _BYTES:
            with db:
                db.executemany(_INSERT, rows(last + 1, turn))
            turn += 1
    return path.stat().st_size


_INSERT = """
INSERT INTO kine (id, name, created, deleted, create_revision, prev_revision, lease, value, old_value)
VALUES (?, ?, ?, 0, ?, ?, 0, ?, ?)
"""


def rows(first: int, turn: int) -> Iterator[Row]:
    """Return a revision of each object, the create in turn 0, as Kine keeps it; ``first`` is the first one's create.

    >>> [row[:5] for row in rows(7, 1)][0]
    (5007, '/registry/configmaps/default/large-0', 0, 7, 7)
    """
    for number in range(_OBJECTS):
        created, revision = first + number, first + number + turn * _OBJECTS
        name = f"large-{number}"
        value, old = _value(name, turn), _value(name, turn - 1) if turn else None
        before = (created, revision - _OBJECTS) if turn else (0, 0)
        yield revision, f"/registry/configmaps/default/{name}", int(not turn), *before, value, old


def _value(name: str, turn: int) -> bytes:
    metadata = {
        "name": name, "namespace": "default", "uid": str(UUID(int=int(name.rpartition("-")[2]))),
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    data = {"turn": str(turn), "text": "v" * _SIZE}
    return json.dumps({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data}).encode()


def forget(*paths: Path) -> None:
    """Have the kernel drop what it keeps of files in memory."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(workspace: Workspace) -> Outcome:
    """Make the database, stop in order, and start some times with nothing in memory."""
    data = workspace.fresh("large-data")
    database = data / "db" / "state.db"
    _start(workspace, data)
    size = fill(database)
    _start(workspace, data)
    took = []
    for _ in range(workspace.rounds):
        forget(binary(workspace), *(path for path in data.rglob("*") if path.is_file()))
        took.append(_start(workspace, data))
    shutil.rmtree(data)
    return Outcome(
        measured=f"{median(took):.1f} s",
        met=median(took) <= _TARGET,
        samples={"ready, s": took},
        facts={"ready": spread_text(took), "database, MiB": size >> 20},
    )


def _start(workspace: Workspace, data: Path) -> float:
    """Start a server and stop it in order; return how long it took to be ready."""
    with lone(workspace, "large", data) as server:
        stop(server.process)
    return server.ready


LINE = Line(
    name="start-large",
    what="start with a database of 1 GB after a stop in order, nothing of it in memory",
    target=f"≤ {_TARGET:.0f} s",
    how=f"The database of a stopped server gets {_OBJECTS} ConfigMaps of 4 KiB and so many revisions of each that the "
    "file has 1 GB. The server starts and stops in order once. Before each start that counts, the kernel is told to "
    "drop the files of the data directory and the program from memory. The time is from the process's start until "
    "`/readyz` of the API server is 200.",
    measure=measure,
)
