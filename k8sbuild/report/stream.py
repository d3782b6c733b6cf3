"""Writing to a stream whose reader may be gone."""

from __future__ import annotations

import os
import sys
from typing import TextIO

__all__ = ["flush", "say"]


def say(text: str, stream: TextIO | None = None) -> None:
    """Write a line; a closed pipe is not an error of the work that reports (``k8sbuild plan | head``).

    Args:
        stream: standard output by default.
    """
    stream = stream or sys.stdout
    try:
        stream.write(text + "\n")
    except BrokenPipeError:
        _forget(stream)
    flush(stream)


def flush(stream: TextIO) -> None:
    """Write what is buffered, or drop it where nobody reads any more."""
    try:
        if not stream.closed:
            stream.flush()
    except BrokenPipeError:
        _forget(stream)


def _forget(stream: TextIO) -> None:
    # Python flushes again at exit; what is left in the buffer needs somewhere to go
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
