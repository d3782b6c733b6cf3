"""Where a source's edit tree lies, what it was when it was laid out, and what somebody changed in it since."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from k8sbuild.config import cache_folder, find_project
from k8sbuild.errors import UsageError
from k8sbuild.patching.diff import make
from k8sbuild.patching.tree import DictTree, File
from k8sbuild.store.files import plain_mode, sha256_of, walk, write_file
from k8sbuild.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from k8sbuild.project import Request
    from k8sbuild.store.tree import Tree

__all__ = ["REJECTED", "Difference", "EditTree", "Place", "changed"]

#: The ending of a file with hunks that do not apply.
REJECTED = ".rej"
#: What editors and patch tools leave behind.
_LEFT = (".orig", REJECTED, ".swp", "~")


@dataclass(frozen=True, slots=True, kw_only=True)
class EditTree:
    """A source laid out for editing.

    Args:
        source: its name, and its exact ``version``.
        folder: where it lies.
        base: digest of the tree that it was laid out from.
        patch: where it does not have the whole series: the last patch that it has, as far as that one applies.
        before: digest of the tree before that patch.
        problems: why the patch does not apply: file, hunk, line, and the nearest place.
        rejects: files, below the folder, with the hunks that do not apply.
    """

    source: str
    version: str
    folder: str
    base: str
    patch: str = ""
    before: str = ""
    problems: tuple[str, ...] = ()
    rejects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What was changed in an edit tree: paths, as a patch, and the whole tree after it."""

    paths: tuple[str, ...]
    data: bytes
    edited: Tree


def changed(base: Tree, folder: Path) -> list[str]:
    """Return the paths of a folder that differ from a tree: changed, added, removed, other mode."""
    found = {
        path: state
        for path, state in walk(folder).files.items()
        if not path.endswith(_LEFT) and ".git" not in path.split("/")[:-1]
    }
    gone = [path for path in base.entries if path not in found]
    other = [path for path, state in found.items() if _differs(base, folder, path, state.size, state.mode)]
    return sorted([*gone, *other])


def _differs(base: Tree, folder: Path, path: str, size: int, mode: int) -> bool:
    entry = base.entries.get(path)
    if entry is None or entry.size != size or entry.mode != plain_mode(mode):
        return True
    return sha256_of(folder / path) != entry.digest


def _file(path: Path) -> File:
    return File(path.read_bytes(), plain_mode(path.stat().st_mode))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a source's edit tree is, or will be."""

    source: str
    folder: Path
    store: Store

    @classmethod
    def of(cls, request: Request, source: str) -> Place:
        """Return the place of a source in a project.

        Raises:
            UsageError: ``bad-value``.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", source):
            raise UsageError(f"{source!r} names no source", reason="bad-value", hint="--source=NAME")
        folder = find_project(request.root).state / "edit" / source
        return cls(source=source, folder=folder, store=Store(cache_folder(request.env) / "store"))

    @property
    def _note(self) -> Path:
        return self.folder.with_name(f"{self.source}.json")

    def exists(self) -> bool:
        """Say whether there is an edit tree."""
        return self.folder.is_dir() and self._note.is_file()

    def record(self, tree: EditTree) -> EditTree:
        """Remember what the edit tree is."""
        write_file(self._note, json.dumps(asdict(tree), indent=2).encode())
        return tree

    def read(self) -> EditTree:
        """Return what the edit tree was when it was laid out.

        Raises:
            UsageError: ``no-edit-tree``.
        """
        if not self.exists():
            raise UsageError(
                f"there is no edit tree of {self.source}",
                reason="no-edit-tree",
                hint=f"k8sbuild patch-refresh --start --source={self.source}",
            )
        found: dict[str, Any] = json.loads(self._note.read_text(encoding="utf-8"))
        found |= {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
        return EditTree(**found)

    def touched(self) -> bool:
        """Say whether somebody changed something since it was laid out, or removed a file of rejects."""
        tree = self.read()
        mended = [path for path in tree.rejects if not (self.folder / path).exists()]
        return bool(mended or changed(self.store.load(tree.base), self.folder))

    def difference(self, digest: str) -> Difference:
        """Return what differs between a tree of the store and the edit tree."""
        base = self.store.load(digest)
        paths = changed(base, self.folder)
        old = {path: File(self.store.read(entry), entry.mode) for path in paths if (entry := base.entries.get(path))}
        new = {path: _file(self.folder / path) for path in paths if (self.folder / path).is_file()}
        changes = {path: (new[path].mode, new[path].data) if path in new else None for path in paths}
        data = make(DictTree(old), DictTree(new), paths)
        return Difference(paths=tuple(paths), data=data, edited=self.store.edit(base, changes))
