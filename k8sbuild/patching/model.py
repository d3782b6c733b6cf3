"""A parsed patch as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FileDiff", "Hunk", "Kind", "Patch"]

Kind = Literal["add", "delete", "modify", "rename", "copy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """One hunk; ``lines`` are pairs of operation (`` ``, ``-``, ``+``) and line with its line end, if it has one."""

    number: int
    old_start: int
    old_count: int
    new_start: int
    new_count: int
    section: str
    lines: tuple[tuple[str, bytes], ...]
    at: int

    @property
    def old(self) -> list[bytes]:
        """The lines it expects."""
        return [text for op, text in self.lines if op != "+"]

    @property
    def new(self) -> list[bytes]:
        """The lines it leaves."""
        return [text for op, text in self.lines if op != "-"]

    @property
    def at_end(self) -> bool:
        """Whether it has no context after its last change, so that it can only match at the end of the file."""
        return self.lines[-1][0] != " "

    def reversed(self) -> Hunk:
        """Return the hunk that undoes this one."""
        swap = {"+": "-", "-": "+", " ": " "}
        return Hunk(
            number=self.number,
            old_start=self.new_start,
            old_count=self.new_count,
            new_start=self.old_start,
            new_count=self.old_count,
            section=self.section,
            lines=tuple((swap[op], text) for op, text in self.lines),
            at=self.at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    """What a patch does to one file. ``old`` is None for an added file, ``new`` for a deleted one.

    Modes are 0o644 or 0o755, and None where the patch does not set or name one. ``at`` is
    the line of the patch file where this part starts.
    """

    kind: Kind
    old: str | None
    new: str | None
    old_mode: int | None
    new_mode: int | None
    hunks: tuple[Hunk, ...]
    at: int

    @property
    def path(self) -> str:
        """The file's path after the patch, before it for a deleted file."""
        return self.new or self.old or ""

    def reversed(self) -> FileDiff:
        """Return the part that undoes this one; a copy is undone by deleting it."""
        kinds: dict[Kind, Kind] = {"add": "delete", "delete": "add"}
        return FileDiff(
            kind=kinds.get(self.kind, self.kind),
            old=self.new,
            new=self.old,
            old_mode=self.new_mode,
            new_mode=self.old_mode,
            hunks=tuple(hunk.reversed() for hunk in self.hunks),
            at=self.at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One ``.patch`` file: the text before its first diff, and its parts in order."""

    name: str
    header: bytes
    files: tuple[FileDiff, ...]

    @property
    def paths(self) -> frozenset[str]:
        """Every path that the patch names."""
        return frozenset(path for part in self.files for path in (part.old, part.new) if path is not None)
