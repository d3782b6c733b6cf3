"""Sizes, times and columns as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["columns", "duration", "progress", "size", "titled"]

#: What steps count; every other progress with a total above one is in bytes.
_COUNTED = frozenset({"files", "generators", "modules", "packages", "patches", "requirements", "tests"})
_UNITS = ((1e3, "kB"), (1e6, "MB"), (1e9, "GB"))


def size(count: int) -> str:
    """Return a number of bytes in decimal units.

    >>> size(126_400_000), size(512)
    ('126.4 MB', '512 B')
    """
    if count < 1000:
        return f"{count} B"
    scale, unit = next(((s, u) for s, u in _UNITS if count < s * 999.95), _UNITS[-1])
    return f"{count / scale:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return a time in the two units that matter.

    >>> duration(0.32), duration(42.1), duration(252)
    ('0.3 s', '42 s', '4 min 12 s')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def progress(what: str, done: int, total: int) -> str:
    """Return how far a step is.

    >>> progress("packages", 120, 1874), progress("kine", 1_500_000, 3_000_000), progress("Go 1.25.5", 0, 1)
    ('120 of 1874 packages', 'kine 1.5 MB of 3.0 MB', 'Go 1.25.5')
    """
    if what in _COUNTED:
        return f"{done} of {total} {what}" if total else f"{done} {what}"
    if total > 1:
        return f"{what} {size(done)} of {size(total)}"
    return f"{what} {size(done)}" if done > 1 else what


def columns(rows: Iterable[Sequence[str]], *, indent: str = "", right: Iterable[int] = ()) -> str:
    """Return rows as aligned lines; the last column is never padded.

    Args:
        right: numbers of the columns that are aligned to the right.

    >>> print(columns([("a", "1"), ("long", "10")], right={1}))
    a      1
    long  10
    """
    table = [tuple(row) for row in rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))] if table else []
    right = set(right)
    lines = []
    for row in table:
        cells = [
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def titled(title: str, rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Return rows below a title; nothing where there are none."""
    return f"{title}\n{columns(rows, indent='  ', right=right)}" if rows else ""
