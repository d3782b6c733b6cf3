"""The store: contents, trees and results by digest, in a local folder.

Contents lie in blobs: all files of one addition behind each other, named by
the sha256 of the whole. They are checked against their digest whenever they
are read. The store keeps no state in memory, so threads and processes share
it freely; what two of them write at the same time under one name is the same.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING

from k8sbuild.errors import StoreError
from k8sbuild.store import audit, manifest
from k8sbuild.store.files import CHUNK, Draft, Stat, disk_errors, plain_mode, sha256_of, walk, write_file, write_new
from k8sbuild.store.layout import Layout, touch
from k8sbuild.store.result import Result
from k8sbuild.store.tree import Entry, Tree

if TYPE_CHECKING:
    from pathlib import Path

    from k8sbuild.store.audit import Damage

__all__ = ["Store"]

#: One file to be added: path, mode, content in chunks.
_Part = tuple[str, int, Iterable[bytes]]


class Store:
    """A content-addressed folder of trees and step results.

    Args:
        root: the folder; made when something is written.

    Raises:
        StoreError: ``store-too-new``, a newer k8sbuild made the folder.

    All writing methods raise StoreError with ``disk-full``, ``store-read-only`` or ``disk-failed``, and leave
    nothing half-written under a final name.

    >>> store = Store(tmp_path)                                          # doctest: +SKIP
    >>> tree = store.add_files({"go.mod": (0o644, b"module a\\n")})      # doctest: +SKIP
    >>> store.read(tree.entries["go.mod"])                               # doctest: +SKIP
    b'module a\\n'
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = Layout(root)
        self.layout.check_version()

    # Adding

    def add_folder(self, folder: Path) -> Tree:
        """Add all files below *folder* as one blob and return the saved tree.

        Empty folders are left out. The mode becomes 0o755 where the owner may execute, else 0o644.

        Raises:
            StoreError: ``not-a-file``, there is a link or a device; ``no-such-folder``.
        """
        if not folder.is_dir():
            raise StoreError(f"{folder} is not a folder", reason="no-such-folder", hint="check the path")
        found = walk(folder).files
        _refuse_special(folder, {path: status.mode for path, status in found.items()})
        return self._add((path, found[path].mode, _file_chunks(folder / path)) for path in sorted(found))

    def take_folder(self, folder: Path) -> Tree:
        """Add all files below *folder* as :meth:`add_folder` does; the folder is nobody's any more.

        A file that is alone there, such as a program, is moved and not copied, if it is on the store's disk.
        """
        moved = self._move(folder)
        return self.add_folder(folder) if moved is None else self.save(Tree({moved.path: moved}))

    def _move(self, folder: Path) -> Entry | None:
        names = list(walk(folder).files)
        if len(names) != 1:
            return None
        path = folder / names[0]
        with disk_errors("read", path):
            status = os.lstat(path)
            # Nothing that has another name, by which it may be written, gets into the store.
            if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
                return None
            digest = sha256_of(path)
        self.layout.create()
        blob = self.layout.blob(digest)
        with disk_errors("write", blob):
            blob.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.replace(path, blob)
            except OSError as error:
                if error.errno == errno.EXDEV:
                    return None
                raise
            os.chmod(blob, 0o444)
        mode, size = plain_mode(status.st_mode), status.st_size
        return Entry(path=names[0], mode=mode, digest=digest, size=size, blob=digest, offset=0)

    def add_files(self, files: Mapping[str, tuple[int, bytes]]) -> Tree:
        """Add *files* (path to mode and content) as one blob and return the saved tree.

        Raises:
            StoreError: ``bad-tree``, the paths are not those of a tree.
        """
        return self._add((path, mode, (data,)) for path, (mode, data) in sorted(files.items()))

    def edit(self, tree: Tree, changes: Mapping[str, tuple[int, bytes] | None]) -> Tree:
        """Return the saved tree that has *changes* applied; None removes a file.

        Only contents that differ from the tree's are written, as one blob.

        Raises:
            StoreError: ``no-such-file``, a file to remove is not there; ``bad-tree``; ``store-damaged``, the store
                lacks contents of *tree*.
        """
        missing = sorted(path for path, change in changes.items() if change is None and path not in tree.entries)
        if missing:
            hint = "only files of the tree can be removed"
            raise StoreError(f"not in the tree: {', '.join(missing)}", reason="no-such-file", hint=hint)
        entries: dict[str, Entry | None] = {}
        fresh: list[_Part] = []
        for path, change in sorted(changes.items()):
            entries[path] = None if change is None else _same_content(tree.entries.get(path), *change)
            if change is not None and entries[path] is None:
                fresh.append((path, change[0], (change[1],)))
        return self.save(tree.edited(entries | self._write_blob(fresh)))

    def save(self, tree: Tree) -> Tree:
        """Save the manifest of *tree*, for example of a subtree, and return the tree.

        Raises:
            StoreError: ``store-damaged``, the store lacks contents of it.
        """
        data = tree.to_json()
        for blob, needed in manifest.head_extents(data).items():
            self._require(blob, needed)
        self.layout.create()
        write_file(self.layout.tree(tree.digest), data)
        return tree

    def _add(self, parts: Iterable[_Part]) -> Tree:
        return self.save(Tree(self._write_blob(parts)))

    def _write_blob(self, parts: Iterable[_Part]) -> dict[str, Entry]:
        self.layout.create()
        written: list[tuple[str, int, str, int, int]] = []
        whole, offset = None, 0
        blobs = self.root / "blobs"
        with disk_errors("write", blobs), Draft(blobs / "new") as draft:
            for path, mode, chunks in parts:
                own, size = sha256(), 0
                for chunk in chunks:
                    own.update(chunk)
                    if whole:
                        whole.update(chunk)
                    size += draft.file.write(chunk)
                # Up to here both are the same: a blob of one file, such as a binary, is hashed once.
                whole = whole or own.copy()
                written.append((path, plain_mode(mode), own.hexdigest(), size, offset))
                offset += size
            name = whole.hexdigest() if whole else ""
            if written:
                # Also when the blob is there: the one there may be damaged.
                self.layout.blob(name).parent.mkdir(parents=True, exist_ok=True)
                # Not waiting for the disk: what a power loss takes is damage, which is told and made again.
                draft.publish(self.layout.blob(name), 0o444)
        return {
            path: Entry(path=path, mode=mode, digest=digest, size=size, blob=name, offset=start)
            for path, mode, digest, size, start in written
        }

    # Reading

    def load(self, digest: str) -> Tree:
        """Return the tree *digest*.

        Raises:
            StoreError: ``tree-missing``; ``store-damaged``, the manifest is not what its name says.
        """
        path = self.layout.tree(digest)
        touch(path)
        try:
            data = path.read_bytes()
            tree = Tree.from_json(data)
        except FileNotFoundError as error:
            hint = "run the step that makes it again: k8sbuild build"
            raise StoreError(f"the store has no tree {digest}", reason="tree-missing", hint=hint) from error
        except (OSError, ValueError, StoreError) as error:
            raise _damaged(f"the manifest {path} is damaged: {error}", tree=digest) from error
        if tree.digest != digest:
            raise _damaged(f"the manifest {path} is damaged: it holds {tree.digest}", tree=digest)
        for blob in manifest.head_extents(data):
            touch(self.layout.blob(blob))
        return tree

    def has(self, digest: str) -> bool:
        """Whether the tree's manifest and its blobs are there, in sufficient size; nothing is hashed."""
        path = self.layout.tree(digest)
        touch(path)
        try:
            needed = manifest.read_extents(path)
        except (OSError, ValueError):
            return False
        return all(self._size(blob) >= size for blob, size in needed.items())

    def read(self, entry: Entry) -> bytes:
        """Return the content of *entry*, checked.

        Raises:
            StoreError: ``store-damaged``, naming blob and path.
        """
        return b"".join(self._chunks(entry))

    def export(self, entry: Entry, dest: Path) -> Stat:
        """Write the content of *entry* to *dest*, checked, atomically, with its mode, and return the file's state.

        Raises:
            StoreError: ``store-damaged``; *dest* is then as it was.
        """
        with disk_errors("write", dest), Draft(dest.parent) as draft:
            for chunk in self._chunks(entry):
                draft.file.write(chunk)
            return draft.publish(dest, entry.mode)

    def lay_out(self, entries: Iterable[Entry], folder: Path) -> Iterator[tuple[str, Stat]]:
        """Write many files below *folder*, checked, with their modes; yields path and state of each.

        A file's time follows from its content. To ``go``, which keeps what it read of a folder under its files' names,
        sizes and times, a tree that is laid out again is the same tree.

        Fast, and not atomic: who is interrupted may leave a file half written, and must know which ones he asked for.

        Raises:
            StoreError: ``store-damaged``; what was written before stays.
        """
        for _, group in groupby(entries, key=lambda entry: entry.blob):
            together = list(group)
            with self._blob(together[0]) as descriptor:
                for entry in together:
                    dest = os.path.join(folder, entry.path)
                    with disk_errors("write", dest):
                        state = write_new(dest, _checked(descriptor, entry), entry.mode, _time_of(entry))
                    yield entry.path, state

    def _chunks(self, entry: Entry) -> Iterator[bytes]:
        with self._blob(entry) as descriptor:
            yield from _checked(descriptor, entry)

    @contextmanager
    def _blob(self, entry: Entry) -> Iterator[int]:
        try:
            descriptor = os.open(self.layout.blob(entry.blob), os.O_RDONLY)
        except FileNotFoundError as error:
            raise _damaged_entry(entry, "the blob is missing") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _size(self, blob: str) -> int:
        try:
            # Asked for every module of a build: as text a path costs a quarter.
            return os.stat(f"{self.root}/blobs/{blob[:2]}/{blob}").st_size
        except OSError:
            return -1

    def _require(self, blob: str, needed: int) -> None:
        size = self._size(blob)
        if size < needed:
            state = "is missing" if size < 0 else f"has {size} bytes, at least {needed} are needed"
            raise _damaged(f"the blob {blob} of the store {state}", blob=blob)

    # Results

    def get_result(self, key: str) -> Result | None:
        """Return the result for *key*; None when there is none, or its tree is gone, or it is damaged."""
        path = self.layout.result(key)
        touch(path)
        try:
            result = Result.from_json(path.read_bytes())
        except (OSError, ValueError):
            return None
        return result if result.key == key and self.has(result.tree) else None

    def put_result(self, result: Result) -> None:
        """Save *result*, replacing the one with the same key.

        Raises:
            StoreError: ``tree-missing``, its tree is not in the store.
        """
        if not self.has(result.tree):
            hint = "save the tree first"
            raise StoreError(f"the store has no tree {result.tree}", reason="tree-missing", hint=hint)
        write_file(self.layout.result(result.key), result.to_json())

    # Damage

    def drop(self, digest: str) -> None:
        """Forget a damaged tree and every result that points at it, so that it is made again.

        Its blobs go as well, except those that other trees use and that are sound. Where a shared blob is damaged,
        the other trees that use it are no longer there for `has` and `get_result`.
        """
        path = self.layout.tree(digest)
        try:
            own = set(manifest.read_extents(path))
        except (OSError, ValueError):
            own = set()
        with disk_errors("remove", path):
            for result in audit.results_of(self.layout, digest):
                result.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            shared = audit.used_blobs(self.layout)
            for blob in own:
                if blob not in shared or not audit.is_sound(self.layout.blob(blob)):
                    self.layout.blob(blob).unlink(missing_ok=True)

    def check(self) -> list[Damage]:
        """Hash everything again and return what is damaged, sorted by name."""
        return audit.check(self.layout)

    def mend(self) -> list[Damage]:
        """Forget every tree that cannot be trusted any more, so that it is made again; returns what was damaged."""
        found = self.check()
        for digest in {digest for damage in found for digest in damage.trees}:
            self.drop(digest)
        return found


def _refuse_special(folder: Path, modes: Mapping[str, int]) -> None:
    special = sorted(path for path, mode in modes.items() if not stat.S_ISREG(mode))
    if special:
        raise StoreError(
            f"{folder} holds what is neither a file nor a folder: {', '.join(special)}",
            reason="not-a-file",
            hint="replace links by what they point at, and remove devices, pipes and sockets",
            details={"paths": special},
        )


def _file_chunks(path: Path) -> Iterator[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with open(descriptor, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _time_of(entry: Entry) -> int:
    """Return a time between 2001 and 2017, in nanoseconds, that other content does not have."""
    return 10**18 + int(entry.digest[:15], 16) % (5 * 10**17)


def _same_content(entry: Entry | None, mode: int, data: bytes) -> Entry | None:
    if entry is None or entry.size != len(data) or entry.digest != sha256(data).hexdigest():
        return None
    return replace(entry, mode=plain_mode(mode))


def _checked(descriptor: int, entry: Entry) -> Iterator[bytes]:
    """Yield the content; the last thing that happens is the comparison of its digest."""
    digest, position, end = sha256(), entry.offset, entry.offset + entry.size
    while position < end:
        try:
            chunk = os.pread(descriptor, min(CHUNK, end - position), position)
        except OSError as error:
            raise _damaged_entry(entry, f"the blob cannot be read: {error.strerror}") from error
        if not chunk:
            raise _damaged_entry(entry, f"the blob ends at byte {position}")
        digest.update(chunk)
        position += len(chunk)
        yield chunk
    if digest.hexdigest() != entry.digest:
        raise _damaged_entry(entry, f"its digest is {digest.hexdigest()}")


def _damaged_entry(entry: Entry, problem: str) -> StoreError:
    message = f"{entry.path} (sha256 {entry.digest}) in the blob {entry.blob} of the store is damaged: {problem}"
    return _damaged(message, blob=entry.blob, path=entry.path)


def _damaged(message: str, **details: str) -> StoreError:
    hint = "it is made again by the next build; look for more with: k8sbuild build --check-store"
    return StoreError(message, reason="store-damaged", hint=hint, details=details)
