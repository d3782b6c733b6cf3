"""Locks between processes and threads that say who holds them.

Beside the lock file lies ``<lock>.holder``, which names the holder while the
lock is held. The kernel frees the lock of a process that dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from k8sbuild.store.files import disk_errors, write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["is_held", "lock"]


@contextmanager
def lock(path: Path, what: str, *, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock file *path* during the block.

    Args:
        path: the lock file; it stays when the lock is released.
        what: what the holder does, told to those who wait, for example ``build k8s 1.31.4``.
        on_wait: called once, before waiting, with whom we wait for.

    Raises:
        StoreError: the lock file cannot be made.

    >>> with lock(tmp_path / "key.lock", "build k8s", on_wait=print):   # doctest: +SKIP
    ...     pass
    process 4711 on build-host, since 10:31:05 UTC: build k8s
    """
    holder = path.with_name(path.name + ".holder")
    with disk_errors("lock", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _opened(path)
    try:
        with disk_errors("lock", path):
            if not _taken(descriptor):
                if on_wait is not None:
                    on_wait(_describe(holder))
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        with _named(holder, what):
            yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _taken(descriptor: int) -> bool:
    """Take the lock if nobody has it; closing the descriptor gives it back."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _named(holder: Path, what: str) -> Iterator[None]:
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time(), "what": what}
    try:
        write_file(holder, json.dumps(facts).encode())
        yield
    finally:
        with suppress(OSError):
            holder.unlink()


def _describe(holder: Path) -> str:
    try:
        facts = json.loads(holder.read_bytes())
        since = time.strftime("%H:%M:%S UTC", time.gmtime(facts["since"]))
        return f"process {facts['pid']} on {facts['host']}, since {since}: {facts['what']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def is_held(path: Path) -> bool:
    """Whether someone holds the lock file *path*."""
    with disk_errors("lock", path):
        descriptor = _opened(path)
        try:
            return not _taken(descriptor)
        finally:
            os.close(descriptor)
