"""One file in memory that remembers who last wrote each line, and who removed lines where."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TypeAlias

from k8sbuild.patching.tree import File

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Image", "Writer", "alike", "split"]

#: Plugin, and name of its patch or edit.
Writer: TypeAlias = tuple[str, str]


def split(data: bytes) -> list[bytes]:
    r"""Return lines with their line ends; only ``\n`` ends one.

    >>> split(b"a\r\nb\rc")
    [b'a\r\n', b'b\rc']
    """
    return io.BytesIO(data).readlines()


def alike(old: Sequence[bytes], new: Sequence[bytes]) -> tuple[int, int]:
    """Return how many lines two texts share at their beginnings, and of the others how many at their ends.

    >>> alike([b"a", b"b", b"c"], [b"a", b"x", b"y", b"c"]), alike([b"a"], [b"a", b"a"])
    ((1, 1), (1, 0))
    """
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    rest = shorter - head
    tail = next((at for at in range(rest) if old[-1 - at] != new[-1 - at]), rest)
    return head, tail


class Image:
    """Lines of a file, the writer of each (None: upstream), and who removed lines at each of the n + 1 gaps."""

    __slots__ = ("gaps", "lines", "mode", "owners")

    def __init__(self, data: bytes, mode: int) -> None:
        self.lines = split(data)
        self.mode = mode
        self.owners: list[Writer | None] = [None] * len(self.lines)
        self.gaps: list[tuple[Writer, ...]] = [()] * (len(self.lines) + 1)

    def copy(self) -> Image:
        """Return an image that can be changed without this one."""
        image = Image(b"", self.mode)
        image.lines, image.owners, image.gaps = self.lines[:], self.owners[:], self.gaps[:]
        return image

    def file(self) -> File:
        """Return content and mode."""
        return File(b"".join(self.lines), self.mode)

    def splice(self, start: int, stop: int, new: Sequence[bytes], writer: Writer) -> None:
        """Replace lines ``start:stop`` by ``new``, written by ``writer``."""
        if new:
            after = self.gaps[stop] if stop > start else ()
            self.gaps[start : stop + 1] = [self.gaps[start], *[()] * (len(new) - 1), after]
        elif stop > start:
            removed = dict.fromkeys(writer for gap in self.gaps[start : stop + 1] for writer in gap)
            self.gaps[start : stop + 1] = [(*removed, writer)]
        self.lines[start:stop] = new
        self.owners[start:stop] = [writer] * len(new)

    def strangers(
        self, start: int, stop: int, knows: Callable[[str], bool], *, before: bool = True, after: bool = True
    ) -> tuple[Writer, ...]:
        """Return who wrote lines ``start:stop`` or removed lines between them, other than those known.

        Args:
            start, stop: range of lines.
            knows: whether changes of a plugin may be touched.
            before, after: whether the gaps at the range's edges count too.
        """
        gaps = self.gaps[start + (not before) : stop + after]
        writers: Iterable[Writer | None] = (*self.owners[start:stop], *(writer for gap in gaps for writer in gap))
        return tuple(dict.fromkeys(writer for writer in writers if writer is not None and not knows(writer[0])))
