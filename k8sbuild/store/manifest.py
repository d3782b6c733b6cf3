"""The file format of a tree: one JSON document in three lines.

::

    {"schema":"k8sbuild/tree/1","blobs":{<blob>:<bytes of it that the tree needs>},
    "tree":{"digests":"<64 hex each>","executable":[<row>],"paths":[…]},
    "where":{"blob":[<number>],"offsets":[…],"sizes":[…]}}

The tree's digest is the sha256 of the second line's value as it stands, so
checking it costs one pass over the bytes. The first line is enough to see
whether the blobs are there. Columns load several times faster than rows.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from operator import add, lt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["SCHEMA", "Columns", "decode", "digest", "encode", "head_extents", "read_extents"]

SCHEMA = "k8sbuild/tree/1"
_HEX = re.compile(r"[0-9a-f]{64}")
_HEAD = b'"tree":'


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The entries of a tree, one list a field, rows sorted by path.

    Args:
        paths: one a row.
        executable: rows with mode 0o755; the others have 0o644.
        digests: 64 hex characters a row, joined.
        sizes: bytes, one a row.
        blobs: the blobs' names, sorted.
        blob: number into *blobs*, one a row.
        offsets: bytes, one a row.
    """

    paths: list[str]
    executable: set[int]
    digests: str
    sizes: list[int]
    blobs: list[str]
    blob: list[int]
    offsets: list[int]


def _dump(value: Any) -> bytes:
    # ASCII with escapes: names that are not UTF-8 (surrogates) survive as well.
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")


def _digest(tree: bytes) -> str:
    return f"sha256:{sha256(tree).hexdigest()}"


def _identity(columns: Columns) -> bytes:
    """Return the bytes whose sha256 is the tree's digest."""
    executable = sorted(columns.executable)
    return _dump({"digests": columns.digests, "executable": executable, "paths": columns.paths})


def _extents(columns: Columns) -> dict[str, int]:
    """Return how many bytes of each blob the tree needs."""
    needed = [0] * len(columns.blobs)
    for number, end in zip(columns.blob, map(add, columns.offsets, columns.sizes), strict=True):
        if end > needed[number]:
            needed[number] = end
    return dict(zip(columns.blobs, needed, strict=True))


def encode(columns: Columns) -> tuple[bytes, str]:
    """Return the manifest of *columns* and the tree's digest."""
    head = _dump({"blobs": _extents(columns), "schema": SCHEMA})
    where = _dump({"blob": columns.blob, "offsets": columns.offsets, "sizes": columns.sizes})
    tree = _identity(columns)
    return head[:-1] + b",\n" + _HEAD + tree + b',\n"where":' + where + b"}\n", _digest(tree)


def digest(columns: Columns) -> str:
    """Return the tree's digest, ``sha256:<hex>``."""
    return _digest(_identity(columns))


def head_extents(data: bytes) -> dict[str, int]:
    """Return which blobs, and how many bytes of each, a manifest (its first line is enough) needs.

    Raises:
        ValueError: it is not a manifest.
    """
    try:
        head = json.loads(data.partition(b"\n")[0].rstrip(b",") + b"}")
        blobs: dict[str, Any] = dict(head["blobs"])
        known = head["schema"] == SCHEMA
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a manifest: {error}") from error
    if not known or not all(isinstance(size, int) and _HEX.fullmatch(name) for name, size in blobs.items()):
        raise ValueError("not a manifest of this version")
    return blobs


def read_extents(path: Path) -> dict[str, int]:
    """Read only which blobs, and how many bytes of each, the manifest at *path* needs.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a manifest.
    """
    with path.open("rb") as file:
        return head_extents(file.readline())


def decode(data: bytes) -> tuple[Columns, str]:
    """Return the columns of a manifest and the tree's digest, ``sha256:<hex>``.

    Raises:
        ValueError: *data* is not a whole manifest.
    """
    try:
        first, second, _rest = data.split(b"\n", 2)
        blobs = sorted(head_extents(first))
        document = json.loads(data)
        tree, where = document["tree"], document["where"]
        columns = Columns(
            paths=tree["paths"],
            executable=set(tree["executable"]),
            digests=tree["digests"],
            sizes=where["sizes"],
            blobs=blobs,
            blob=where["blob"],
            offsets=where["offsets"],
        )
        _check(columns)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a manifest: {error}") from error
    return columns, _digest(second[len(_HEAD) : -1])


def _check(columns: Columns) -> None:
    rows = len(columns.paths)
    if len(columns.digests) != 64 * rows or any(len(c) != rows for c in (columns.sizes, columns.blob, columns.offsets)):
        raise ValueError("the columns of the manifest differ in length")
    if not _ascending(columns.paths):
        raise ValueError("the paths of the manifest are not sorted")
    if rows and not (min(columns.blob) >= 0 and max(columns.blob) < len(columns.blobs)):
        raise ValueError("the manifest names a blob that it does not list")
    if rows and min(*columns.sizes, *columns.offsets) < 0:
        raise ValueError("the manifest has a negative size")


def _ascending(paths: Sequence[str]) -> bool:
    return all(map(lt, paths, islice(paths, 1, None)))
