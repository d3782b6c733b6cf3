"""How progress is told: ``progress(what, done, total)``; a total of 0 is not known."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress"]

Progress = Callable[[str, int, int], None]
