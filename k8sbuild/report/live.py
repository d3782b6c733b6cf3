"""Chooses how progress is shown."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from .plain import Plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.building import Observers

    from .terminal import Terminal

__all__ = ["progress", "watched"]


@contextmanager
def watched() -> Iterator[Observers]:
    """Show the progress of a block on standard error; gives the observers that it is told to."""
    with progress(sys.stderr) as observer:
        yield (("progress", observer),)


def progress(stream: TextIO) -> Plain | Terminal:
    """Return an observer and context manager: live on a terminal, else lines."""
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("CI"):
        from .terminal import Terminal

        return Terminal(stream)
    return Plain(stream)
