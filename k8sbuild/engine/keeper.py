"""Ends the commands of a run that was killed and could not do it itself.

A small process reads from a pipe which groups are alive. Whatever ends us, the
kernel closes our end of the pipe; the keeper then kills the groups that are
left and ends too. It is started with the first command.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ended", "enter", "look"]

_PROGRAM = """
import os, signal, sys

def kill(group, number):
    try:
        os.killpg(group, number)
        return True
    except OSError:
        return False

live = set()
for line in sys.stdin.buffer:
    if line[:1] == b"+":
        live.add(int(line))
    elif line[:1] == b"-":
        live.discard(-int(line))
    else:
        live = {group for group in live if kill(group, 0)}
for group in live:
    kill(group, signal.SIGKILL)
"""

_keeper: subprocess.Popen[bytes] | None = None
_guard = threading.Lock()


def enter() -> Callable[[], None]:
    """Return what a child calls between fork and exec: it tells the keeper its group, so that none is missed."""
    global _keeper  # noqa: PLW0603 - one a process
    with _guard:
        if _keeper is None or _keeper.poll() is not None:
            _keeper = _start()
    pipe = _keeper.stdin
    assert pipe is not None
    return lambda: _write(pipe.fileno(), f"+{os.getpid()}\n")


def ended(group: int) -> None:
    """Tell the keeper that a command has ended; its number may be given to another process."""
    _tell(f"-{group}\n")


def look() -> None:
    """Let the keeper forget a child that could not become its program."""
    _tell("?\n")


def _tell(line: str) -> None:
    if _keeper is not None and _keeper.stdin is not None:
        with suppress(BrokenPipeError):
            _write(_keeper.stdin.fileno(), line)


def _write(pipe: int, line: str) -> None:
    os.write(pipe, line.encode())


def _start() -> subprocess.Popen[bytes]:
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        # Neither Ctrl-C nor a signal to our group may end it.
        start_new_session=True,
    )
    # It closes the pipe and waits.
    atexit.register(keeper.communicate)
    return keeper
