"""Which folders an image has: those around a file that are not there must be made, those that are must stay."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["WHITEOUT", "Folders"]

#: How the name of a file begins that takes another one out of the layers below.
WHITEOUT = ".wh."
#: In a folder: nothing of it in the layers below counts.
_OPAQUE = ".wh..wh..opq"
#: Links that lead to links, at most; as Linux has it.
_MOST_LINKS = 40


class Folders:
    """The folders and symbolic links that layers, one upon the other, come to."""

    def __init__(self, folders: Iterable[str] = (), links: Mapping[str, str] | None = None) -> None:
        self._folders = set(folders)
        self._links = dict(links or {})

    def to_data(self) -> dict[str, Any]:
        """Return JSON data that the constructor takes."""
        return {"folders": sorted(self._folders), "links": self._links}

    def take(self, name: str, *, folder: bool = False, link: str = "") -> None:
        """Note a member of the next layer."""
        around, _, last = name.rpartition("/")
        around = self._real(around)
        if last == _OPAQUE:
            self._drop(f"{around}/")
        elif last.startswith(WHITEOUT):
            self._replace(posixpath.join(around, last.removeprefix(WHITEOUT)))
        else:
            self._put(posixpath.join(around, last), folder=folder, link=link)

    def _put(self, place: str, *, folder: bool, link: str) -> None:
        if not folder or place in self._links:
            self._replace(place)
        if folder:
            self._folders.add(place)
        elif link:
            self._links[place] = link

    def missing(self, name: str) -> Iterator[str]:
        """Yield the folders around a path that are not there, the outermost first."""
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if self._real(folder) not in self._folders:
                yield folder

    def _replace(self, place: str) -> None:
        """Forget what was at a place, and below it; most members are files where nothing was."""
        if place in self._folders:
            self._drop(f"{place}/")
            self._folders.discard(place)
        self._links.pop(place, None)

    def _drop(self, below: str) -> None:
        self._folders = {folder for folder in self._folders if not folder.startswith(below)}
        self._links = {link: to for link, to in self._links.items() if not link.startswith(below)}

    def _real(self, path: str, links: int = _MOST_LINKS) -> str:
        """Return a path without links in it; of links in a circle the path as it is."""
        found = ""
        for part in filter(None, path.split("/")):
            found = posixpath.normpath(posixpath.join(found, part))
            if found in self._links and links:
                target = posixpath.join("/", posixpath.dirname(found), self._links[found])
                found = self._real(posixpath.normpath(target).lstrip("/"), links - 1)
        return found
