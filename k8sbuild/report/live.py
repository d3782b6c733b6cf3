"""Chooses how progress is shown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from .plain import Plain

if TYPE_CHECKING:
    from .terminal import Terminal

__all__ = ["progress"]


def progress(stream: TextIO) -> Plain | Terminal:
    """Return an observer and context manager: live on a terminal, else lines."""
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("CI"):
        from .terminal import Terminal

        return Terminal(stream)
    return Plain(stream)
