"""The tree while a series is applied: what is changed so far, by whom."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import cache, cached_property
from typing import TYPE_CHECKING

from k8sbuild.patching.image import Image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k8sbuild.patching.image import Writer
    from k8sbuild.patching.tree import File, Tree

__all__ = ["Work", "names"]

_SIMILAR = 3


class Work:
    """Images over a tree. Images in it are never changed, only replaced, so that a failed change leaves no trace."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.images: dict[str, Image | None] = {}
        self.removed: dict[str, Writer] = {}
        self.touched: dict[str, list[Writer]] = {}

    def image(self, path: str) -> Image | None:
        """Return the file as it is now."""
        if path not in self.images:
            file = self.tree.get(path)
            self.images[path] = None if file is None else Image(file.data, file.mode)
        return self.images[path]

    def put(self, changed: Mapping[str, Image | None], writer: Writer) -> None:
        """Take over changed files (None: removed)."""
        for path, image in changed.items():
            self.images[path] = image
            if image is None:
                self.removed[path] = writer
            self.touched.setdefault(path, []).append(writer)

    def changes(self) -> dict[str, File | None]:
        """Return what differs from the tree, by path in order."""
        files = {path: image.file() if (image := self.images[path]) else None for path in self.touched}
        return {path: file for path, file in sorted(files.items()) if file != self.tree.get(path)}

    @cached_property
    def base_paths(self) -> frozenset[str]:
        """The paths of the tree before any change."""
        return frozenset(self.tree.paths())

    @cached_property
    def _base_folders(self) -> frozenset[str]:
        return frozenset(path.rpartition("/")[0] for path in self.base_paths)

    def paths(self) -> frozenset[str]:
        """Return all paths as they are now."""
        return self.base_paths - self.removed.keys() | {path for path, image in self.images.items() if image}

    def matching(self, pattern: str) -> list[str]:
        """Return the files that a path or glob names (``*`` and ``?`` stop at ``/``, ``**`` does not), in order."""
        if self.image(pattern) is not None:
            return [pattern]
        return sorted(filter(_glob(pattern).fullmatch, self.paths())) if set(pattern) & set("*?") else []

    def similar(self, path: str) -> tuple[str, ...]:
        """Return up to three paths that the missing one may have moved to: the same name, else the same folder."""
        folder, _, name = path.rpartition("/")
        paths = self.paths()
        near = [other for other in paths if other.rpartition("/")[2] == name]
        near = near or [other for other in paths if other.rpartition("/")[0] == folder]
        return tuple(sorted(near, key=lambda other: (-SequenceMatcher(None, path, other).ratio(), other))[:_SIMILAR])

    def clash(self, path: str, staged: Mapping[str, Image | None]) -> str:
        """Return what cannot be beside ``path``, else ``""``: a file where it needs a folder, or files below it."""
        for folder in _folders(path):
            if (staged[folder] if folder in staged else self.image(folder)) is not None:
                return folder
        below = f"{path}/"
        now = {other: image for other, image in {**self.images, **staged}.items() if other.startswith(below)}
        if any(now.values()):
            return below
        if not any(f"{folder}/".startswith(below) for folder in self._base_folders):
            return ""
        left = any(other.startswith(below) and other not in now for other in self.base_paths)
        return below if left else ""


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def names(pattern: str, path: str) -> bool:
    """Whether a path or glob names the path.

    >>> names("pkg/**/*.go", "pkg/a.go"), names("pkg/*.go", "pkg/a/b.go")
    (True, False)
    """
    return pattern == path or _glob(pattern).fullmatch(path) is not None


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.findall(r"\*\*/|\*\*|.", pattern, re.DOTALL)
    return re.compile("".join(meanings.get(piece) or re.escape(piece) for piece in pieces), re.DOTALL)
