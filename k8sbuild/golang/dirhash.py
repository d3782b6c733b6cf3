"""Go's ``h1:`` sums (golang.org/x/mod/sumdb/dirhash, Hash1)."""

from __future__ import annotations

import zipfile
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["hash1", "hash_mod", "hash_zip"]


def hash1(files: Iterable[tuple[str, str]]) -> str:
    """Return the sum over ``(name, sha256 in hex)`` pairs.

    >>> hash1([])
    'h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(files))
    return "h1:" + b64encode(sha256(text.encode()).digest()).decode()


def hash_mod(content: bytes) -> str:
    """Return the sum of a go.mod, as in the ``/go.mod`` lines of a go.sum."""
    return hash1([("go.mod", sha256(content).hexdigest())])


def hash_zip(path: Path) -> str:
    """Return the sum of a module zip; it covers names and content, not how they are compressed.

    Raises:
        zipfile.BadZipFile: the file is no zip or a member is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        return hash1((name, _digest(archive, name)) for name in archive.namelist())


def _digest(archive: zipfile.ZipFile, name: str) -> str:
    digest = sha256()
    with archive.open(name) as stream:
        while block := stream.read(1 << 18):
            digest.update(block)
    return digest.hexdigest()
