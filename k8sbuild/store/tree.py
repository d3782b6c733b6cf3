"""Trees: what a folder contains, by digest.

A tree says for every path its mode and the digest of its content, and where
in the store that content lies (blob, offset, size). Its own digest covers the
first part only, so equal content has the same digest wherever it is stored.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from k8sbuild.errors import StoreError
from k8sbuild.store import manifest
from k8sbuild.store.manifest import Columns

__all__ = ["EMPTY", "Entry", "Tree", "folders_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a tree.

    Args:
        path: relative, with ``/``.
        mode: 0o644 or 0o755.
        digest: sha256 of the content, hex.
        size: bytes.
        blob: sha256, hex, naming the blob that holds the content.
        offset: where in the blob the content starts, bytes.
    """

    path: str
    mode: int
    digest: str
    size: int
    blob: str
    offset: int


class _Entries(Mapping[str, Entry]):
    """Entries made from a manifest's columns when asked for: a big tree loads without making each."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    @classmethod
    def of(cls, entries: Mapping[str, Entry]) -> _Entries:
        _check_paths(entries)
        return cls(_Table.of_entries(entries[path] for path in sorted(entries)).columns())

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {path: row for row, path in enumerate(self.columns.paths)}

    def __getitem__(self, path: str) -> Entry:
        columns, row = self.columns, self._rows[path]
        return Entry(
            path=path,
            mode=0o755 if row in columns.executable else 0o644,
            digest=columns.digests[64 * row : 64 * row + 64],
            size=columns.sizes[row],
            blob=columns.blobs[columns.blob[row]],
            offset=columns.offsets[row],
        )

    def states(self) -> dict[str, tuple[str, int]]:
        digests, executable = self.columns.digests, self.columns.executable
        return {
            path: (digests[64 * row : 64 * row + 64], 0o755 if row in executable else 0o644)
            for row, path in enumerate(self.columns.paths)
        }

    def __contains__(self, path: object) -> bool:
        return path in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns.paths)

    def __len__(self) -> int:
        return len(self.columns.paths)


class Tree:
    """An immutable set of files. Two trees are equal when their digests are.

    Args:
        entries: by path; kept sorted by path.

    Raises:
        StoreError: ``bad-tree``, a path is absolute, leaves the tree, or is both a file and a folder.

    >>> Tree({}).digest == EMPTY.digest, len(EMPTY.entries)
    (True, 0)
    """

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries if isinstance(entries, _Entries) else _Entries.of(entries)

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The files by path, in order."""
        return self._entries

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Tree) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<Tree {self.digest[:19]} {len(self.entries)} files>"

    def __reduce__(self) -> tuple[object, ...]:
        return Tree.from_json, (self.to_json(),)

    @cached_property
    def digest(self) -> str:
        """``sha256:<hex>`` over path, mode and content of all files."""
        return manifest.digest(self._entries.columns)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.entries.values())

    def states(self) -> dict[str, tuple[str, int]]:
        """Return digest and mode by path: what makes two files equal, without where they are stored."""
        return self._entries.states()

    def subtree(self, path: str) -> Tree:
        """Return the tree whose root is the folder *path*; of a file, the tree with it alone.

        Raises:
            KeyError: there is no such file or folder.

        >>> entry = Entry(path="cmd/main.go", mode=0o644, digest="0" * 64, size=0, blob="0" * 64, offset=0)
        >>> list(Tree({"cmd/main.go": entry}).subtree("cmd").entries)
        ['main.go']
        """
        path = path.strip("/")
        if path in ("", "."):
            return self
        if path in self.entries:
            return _tree_of([self.entries[path]], len(path.rpartition("/")[0]) + 1 if "/" in path else 0)
        paths = list(self.entries)
        # "0" is the character after "/": the folder's paths are the range between the two.
        inside = paths[bisect_left(paths, path + "/") : bisect_left(paths, path + "0")]
        if not inside:
            raise KeyError(path)
        return _tree_of((self.entries[name] for name in inside), len(path) + 1)

    def placed(self, path: str, name: str) -> Tree:
        """Return the file or folder at *path* alone, under the path *name*; of ``""`` the whole tree.

        Raises:
            KeyError: there is no such file or folder.

        >>> entry = Entry(path="cmd/main.go", mode=0o644, digest="0" * 64, size=0, blob="0" * 64, offset=0)
        >>> list(Tree({"cmd/main.go": entry}).placed("cmd", "code").entries)
        ['code/main.go']
        """
        if path in self.entries:
            return Tree({name: replace(self.entries[path], path=name)})
        inside = self.subtree(path).entries
        return Tree({f"{name}/{p}": replace(entry, path=f"{name}/{p}") for p, entry in inside.items()})

    def has(self, path: str) -> bool:
        """Say whether there is such a file or folder."""
        try:
            self.subtree(path)
        except KeyError:
            return False
        return True

    def merged(self, other: Tree) -> Tree:
        """Return this tree with the files of *other* added; those of *other* win.

        Raises:
            StoreError: ``bad-tree``, a file of one is a folder of the other.
        """
        return Tree({**self.entries, **other.entries})

    def edited(self, changes: Mapping[str, Entry | None]) -> Tree:
        """Return this tree with some entries replaced or added; None removes one. No other entry is looked at.

        Raises:
            StoreError: ``bad-tree``, a file is now a folder as well.
        """
        table = _Table.of_columns(self._entries.columns)
        for path, entry in changes.items():
            table.put(path, entry)
        _check_paths(table.paths)
        return Tree(_Entries(table.columns()))

    def to_json(self) -> bytes:
        """Return the manifest, which `from_json` reads; equal entries give equal bytes."""
        data, self.__dict__["digest"] = manifest.encode(self._entries.columns)
        return data

    @classmethod
    def from_json(cls, data: bytes) -> Tree:
        """Read a manifest.

        Raises:
            ValueError: it is not one, or not whole.
            StoreError: ``bad-tree``, its paths are not those of a tree.
        """
        columns, digest = manifest.decode(data)
        _check_paths(columns.paths)
        tree = cls(_Entries(columns))
        tree.__dict__["digest"] = digest
        return tree


def _tree_of(entries: Iterable[Entry], cut: int) -> Tree:
    moved = (replace(entry, path=entry.path[cut:]) for entry in entries)
    return Tree({entry.path: entry for entry in moved})


@dataclass(slots=True, kw_only=True)
class _Table:
    """The columns of a manifest with one value a row each, so that rows can be put in and taken out."""

    paths: list[str]
    executable: list[bool]
    digests: list[str]
    sizes: list[int]
    blobs: list[str]
    offsets: list[int]

    @classmethod
    def of_entries(cls, entries: Iterable[Entry]) -> _Table:
        rows = list(entries)
        return cls(
            paths=[entry.path for entry in rows],
            executable=[bool(entry.mode & 0o100) for entry in rows],
            digests=[entry.digest for entry in rows],
            sizes=[entry.size for entry in rows],
            blobs=[entry.blob for entry in rows],
            offsets=[entry.offset for entry in rows],
        )

    @classmethod
    def of_columns(cls, columns: Columns) -> _Table:
        return cls(
            paths=list(columns.paths),
            executable=[row in columns.executable for row in range(len(columns.paths))],
            digests=[columns.digests[at : at + 64] for at in range(0, len(columns.digests), 64)],
            sizes=list(columns.sizes),
            blobs=[columns.blobs[number] for number in columns.blob],
            offsets=list(columns.offsets),
        )

    def put(self, path: str, entry: Entry | None) -> None:
        at = bisect_left(self.paths, path)
        row = slice(at, at + (self.paths[at : at + 1] == [path]))
        self.paths[row] = [] if entry is None else [path]
        self.executable[row] = [] if entry is None else [bool(entry.mode & 0o100)]
        self.digests[row] = [] if entry is None else [entry.digest]
        self.sizes[row] = [] if entry is None else [entry.size]
        self.blobs[row] = [] if entry is None else [entry.blob]
        self.offsets[row] = [] if entry is None else [entry.offset]

    def columns(self) -> Columns:
        names = sorted(set(self.blobs))
        number = {name: index for index, name in enumerate(names)}
        return Columns(
            paths=self.paths,
            executable={row for row, yes in enumerate(self.executable) if yes},
            digests="".join(self.digests),
            sizes=self.sizes,
            blobs=names,
            blob=[number[name] for name in self.blobs],
            offsets=self.offsets,
        )


#: Parts that no path may have, seen in the paths joined so that each part stands between two slashes.
_BAD_PARTS = ("//", "/./", "/../")


def _check_paths(paths: Iterable[str]) -> None:
    names = paths if isinstance(paths, Sequence) else list(paths)
    joined = "/" + "/\n/".join(names) + "/"
    suspect = any(part in joined for part in _BAD_PARTS) if names else False
    if suspect or "\0" in joined:
        bad = next((name for name in names if "\0" in name or any(part in f"/{name}/" for part in _BAD_PARTS)), None)
        if bad is not None:
            raise _bad_tree(f"the path {bad!r} is not inside the tree")
    _check_folders(names)


def _check_folders(names: Sequence[str]) -> None:
    folders = folders_of(names)
    if not folders.isdisjoint(names):
        both = min(folders.intersection(names))
        raise _bad_tree(f"{both!r} is both a file and a folder")


def folders_of(paths: Iterable[str]) -> set[str]:
    """Return every folder that one of the paths is in, but for the root.

    >>> sorted(folders_of(["a", "b/c/d", "b/e"]))
    ['b', 'b/c']
    """
    found: set[str] = set()
    for deepest in {path.rpartition("/")[0] for path in paths}:
        folder = deepest
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def _bad_tree(message: str) -> StoreError:
    return StoreError(f"not a tree: {message}", reason="bad-tree", hint="rename or remove one of the files")


EMPTY = Tree({})
