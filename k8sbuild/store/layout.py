"""Where the store keeps what, and which version of that this is.

::

    VERSION  CACHEDIR.TAG
    blobs/ab/<sha256>            contents, one file after the other
    trees/ab/<sha256>.json       manifests
    results/ab/<sha256>.json     results by key
    locks/  leases/              see `k8sbuild.store.locks` and `k8sbuild.store.gc`

The modification time of a blob, manifest or result is when it was last used.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from k8sbuild.errors import StoreError
from k8sbuild.store.files import TMP_PREFIX, disk_errors, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["LAYOUT_VERSION", "Layout", "touch"]

LAYOUT_VERSION = 1

# The first line is what backup programs look for, see https://bford.info/cachedir/
_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# This folder is the store of k8sbuild. All of it can be made again.
"""
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths inside the store at *root*."""

    root: Path

    @property
    def gc_lock(self) -> Path:
        """Held while something is removed, and for a moment when a lease begins."""
        return self.root / "locks" / "gc.lock"

    @property
    def leases(self) -> Path:
        """Folder of the running builds' leases."""
        return self.root / "leases"

    def blob(self, name: str) -> Path:
        """Return where the blob *name* (sha256, hex) is."""
        return self.root / "blobs" / name[:2] / name

    def tree(self, digest: str) -> Path:
        """Return where the manifest of the tree *digest* is.

        Raises:
            StoreError: ``bad-digest``, *digest* is not ``sha256:<64 hex>``.
        """
        name = digest.removeprefix("sha256:")
        if not _HEX.fullmatch(name) or name == digest:
            raise StoreError(
                f"{digest!r} is not the digest of a tree",
                reason="bad-digest",
                hint="the form is sha256: and 64 hexadecimal digits",
            )
        return self.root / "trees" / name[:2] / f"{name}.json"

    def result(self, key: str) -> Path:
        """Return where the result for *key* is; any text can be a key."""
        name = key.removeprefix("sha256:")
        if not _HEX.fullmatch(name):
            name = sha256(key.encode()).hexdigest()
        return self.root / "results" / name[:2] / f"{name}.json"

    def blobs(self) -> Iterator[Path]:
        """Yield all blobs."""
        return self._files("blobs")

    def trees(self) -> Iterator[Path]:
        """Yield all manifests."""
        return self._files("trees")

    def results(self) -> Iterator[Path]:
        """Yield all results."""
        return self._files("results")

    def _files(self, kind: str) -> Iterator[Path]:
        found = (self.root / kind).glob("??/*")
        return (path for path in sorted(found) if not path.name.startswith(TMP_PREFIX))

    def temporaries(self) -> Iterator[Path]:
        """Yield all temporary files, of living and dead processes."""
        yield from sorted(self.root.glob(f"*/*/{TMP_PREFIX}*"))
        yield from sorted(self.root.glob(f"{TMP_PREFIX}*"))

    def check_version(self) -> None:
        """Refuse a store that a newer k8sbuild made.

        Raises:
            StoreError: ``store-too-new``; ``store-damaged`` when VERSION is not a number.
        """
        file = self.root / "VERSION"
        try:
            with disk_errors("read", file):
                version = int(file.read_text()) if file.exists() else LAYOUT_VERSION
        except ValueError as error:
            hint = f"if this is a store of k8sbuild, remove it and build again: rm -r {self.root}"
            raise StoreError(f"{file} is damaged: {error}", reason="store-damaged", hint=hint) from error
        if version > LAYOUT_VERSION:
            raise StoreError(
                f"the store {self.root} has layout {version}; this k8sbuild knows layouts up to {LAYOUT_VERSION}",
                reason="store-too-new",
                hint="upgrade k8sbuild, or use another folder as the store",
            )

    def create(self) -> None:
        """Write VERSION and CACHEDIR.TAG unless they are there."""
        for name, data in (("CACHEDIR.TAG", _TAG), ("VERSION", f"{LAYOUT_VERSION}\n".encode())):
            file = self.root / name
            if not file.exists():
                write_file(file, data)


def touch(path: Path) -> None:
    """Note that *path* was used now; a store that cannot be written is used without a note."""
    with suppress(OSError):
        os.utime(path)
