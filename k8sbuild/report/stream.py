"""Writing to a stream whose reader may be gone, or whose disk may be full."""

from __future__ import annotations

import os
import sys
from typing import TextIO

__all__ = ["flush", "say"]


def say(text: str, stream: TextIO | None = None) -> None:
    """Write a line; a closed pipe is not an error of the work that reports (``k8sbuild plan | head``).

    Args:
        stream: standard output by default.

    Raises:
        OSError: standard output, which somebody asked for, cannot be written (``k8sbuild plan > full-disk/plan``).
    """
    stream = stream or sys.stdout
    try:
        stream.write(text + "\n")
    except OSError as error:
        _lost(stream, error)
    flush(stream)


def flush(stream: TextIO) -> None:
    """Write what is buffered, or drop it where nobody reads any more.

    Raises:
        OSError: as :func:`say`.
    """
    try:
        if not stream.closed:
            stream.flush()
    except OSError as error:
        _lost(stream, error)


def _lost(stream: TextIO, error: OSError) -> None:
    _forget(stream)
    if stream is sys.stdout and not isinstance(error, BrokenPipeError):
        raise error


def _forget(stream: TextIO) -> None:
    # Python flushes again at exit; what is left in the buffer needs somewhere to go
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
