"""Where a hunk matches: exact context, moved hunks by offset, no fuzz."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from k8sbuild.patching.image import Image, Writer
    from k8sbuild.patching.model import Hunk

__all__ = ["Place", "Taken", "apply_hunk", "at_start", "expected", "find", "nearest"]


class Taken:
    """The lines that earlier hunks of the same diff left; hunks do not overlap, as with ``git apply``."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []

    def overlaps(self, start: int, stop: int) -> bool:
        """Whether a line of the range is taken."""
        return any(start < end and begin < stop for begin, end in self.ranges)

    def add(self, start: int, old: int, new: int) -> None:
        """Take ``new`` lines that were put in place of ``old`` ones."""
        moved = [(a + new - old, b + new - old) if a >= start + old else (a, b) for a, b in self.ranges]
        self.ranges = [*moved, (start, start + new)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place where a hunk nearly matches: first line (from 0), how many lines match, and the first that does not."""

    start: int
    matching: int
    first_difference: int

    def whole(self, hunk: Hunk) -> bool:
        """Whether all of the hunk's lines stand there."""
        return self.matching == len(hunk.old)


def expected(hunk: Hunk) -> int:
    """Return the line (from 0) where the hunk should match if nothing moved."""
    return hunk.new_start - 1 if hunk.new_count else hunk.new_start


def at_start(hunk: Hunk) -> bool:
    """Whether the hunk can only match at the beginning of the file, by git's rule."""
    return hunk.old_start <= 1


def find(lines: Sequence[bytes], hunk: Hunk, taken: Taken) -> int | None:
    """Return the line (from 0) nearest to where it should be at which the hunk matches, else None.

    At equal distance the later place is taken, as ``git apply`` does.
    """
    old, target = hunk.old, expected(hunk)
    for start in sorted(_candidates(lines, hunk, old), key=lambda at: (abs(at - target), at < target)):
        if lines[start : start + len(old)] == old and not taken.overlaps(start, start + len(old)):
            return start
    return None


def _candidates(lines: Sequence[bytes], hunk: Hunk, old: list[bytes]) -> Iterable[int]:
    last = len(lines) - len(old)
    if not old:
        # Nothing to hold on to: only where the number is right and it is the end.
        return [last] if expected(hunk) == last else []
    if at_start(hunk):
        return [0] if last >= 0 and (last == 0 or not hunk.at_end) else []
    if hunk.at_end:
        return [last] if last >= 0 else []
    return [at for at, line in enumerate(lines) if line == old[0]]


def apply_hunk(image: Image, hunk: Hunk, start: int, writer: Writer) -> None:
    """Change the lines at ``start``; context keeps its owner."""
    at = start
    removed, added = 0, list[bytes]()
    for op, text in (*hunk.lines, (" ", b"")):
        if op == "-":
            removed += 1
        elif op == "+":
            added.append(text)
        else:
            image.splice(at, at + removed, added, writer)
            at += len(added) + 1
            removed, added = 0, []


def nearest(lines: Sequence[bytes], hunk: Hunk) -> Place | None:
    """Return where most of the hunk's expected lines stand, the nearest such place; None where no line does."""
    old, target = hunk.old, expected(hunk)
    where: dict[bytes, list[int]] = {}
    for at, line in enumerate(lines):
        where.setdefault(line, []).append(at)
    votes = Counter(at - index for index, line in enumerate(old) for at in where.get(line, ()))
    if not votes:
        return None
    start = max(votes, key=lambda at: (votes[at], -abs(at - target)))
    differences = [i for i, line in enumerate(old) if not 0 <= start + i < len(lines) or lines[start + i] != line]
    return Place(start=start, matching=votes[start], first_difference=differences[0] if differences else len(old))
