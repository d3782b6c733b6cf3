"""Trees of files as the patch stage sees them: paths to bytes and modes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["DictTree", "File", "Overlay", "Tree"]


@dataclass(frozen=True, slots=True)
class File:
    """One file: its bytes and its mode, 0o644 or 0o755."""

    data: bytes
    mode: int = 0o644


class Tree(Protocol):
    """What can be patched. Paths are relative, with ``/``; bytes that are no UTF-8 are surrogate escapes."""

    def get(self, path: str) -> File | None:
        """Return the file at ``path``, None where there is none (also for a folder)."""

    def paths(self) -> Iterable[str]:
        """Return the paths of all files, in any order."""


class DictTree:
    """A tree from a mapping.

    >>> DictTree({"a": File(b"x")}).get("a")
    File(data=b'x', mode=420)
    """

    def __init__(self, files: Mapping[str, File]) -> None:
        self.files = dict(files)

    def get(self, path: str) -> File | None:
        """Return the file at ``path`` or None."""
        return self.files.get(path)

    def paths(self) -> Iterable[str]:
        """Return all paths."""
        return self.files.keys()


class Overlay:
    """A tree seen through changes: path to new file, or to None where the file is gone.

    >>> tree = Overlay(DictTree({"a": File(b"x"), "b": File(b"y")}), {"a": None})
    >>> sorted(tree.paths())
    ['b']
    """

    def __init__(self, base: Tree, changes: Mapping[str, File | None] | None = None) -> None:
        self.base = base
        self.changes: dict[str, File | None] = dict(changes or {})

    def get(self, path: str) -> File | None:
        """Return the changed file where there is one, else the base's."""
        return self.changes[path] if path in self.changes else self.base.get(path)

    def paths(self) -> Iterable[str]:
        """Return the base's paths that are left and the added ones."""
        yield from (path for path in self.base.paths() if path not in self.changes)
        yield from (path for path, file in self.changes.items() if file is not None)
