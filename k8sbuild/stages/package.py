"""The package stage: deterministic archives."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import zipfile
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from k8sbuild.errors import PackageError
from k8sbuild.golang.binary import build_info
from k8sbuild.golang.client import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from k8sbuild.engine.context import StepContext

__all__ = ["archive", "epoch"]

_LICENCE = re.compile(r"^(LICEN[CS]E|COPYING|NOTICE|PATENTS|UNLICENSE)([.\-_].*)?$", re.IGNORECASE)


def epoch(date: str) -> int:
    """Return SOURCE_DATE_EPOCH of an RFC 3339 time; 0 for an unknown one.

    Source: https://reproducible-builds.org/specs/source-date-epoch/
    """
    return int(datetime.fromisoformat(date).timestamp()) if date else 0


def archive(ctx: StepContext) -> None:
    """Write ``params["file"]``: a tar with sorted members, one time, no owner; zstd with ``params["level"]``.

    The sum of the uncompressed tar is a fact, since compressed bytes depend on the zstd release.
    """
    import zstandard

    p = ctx.params
    members = dict(sorted({**_members(ctx), **_licences(ctx)}.items()))
    target = ctx.out / p["file"]
    target.parent.mkdir(parents=True, exist_ok=True)
    compressor = zstandard.ZstdCompressor(level=p["level"], threads=max(1, ctx.cores))
    with target.open("wb") as file, compressor.stream_writer(file) as packed:
        digest = _write_tar(packed, members, epoch(p["date"]))
    ctx.facts["sums"] = {p["file"].removesuffix(".zst"): digest}
    ctx.facts["members"] = len(members)


class _Hashing(io.RawIOBase):
    """Passes on what is written and hashes it."""

    def __init__(self, below: IO[bytes]) -> None:
        self._below = below
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self._below.write(data)
        return len(data)


def _write_tar(out: IO[bytes], members: Mapping[str, tuple[int, bytes | Path]], time: int) -> str:
    hashing = _Hashing(out)
    with tarfile.open(fileobj=hashing, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, (mode, content) in members.items():
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = mode, time
            if isinstance(content, Path):
                info.size = content.stat().st_size
                with content.open("rb") as file:
                    tar.addfile(info, file)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return hashing.sha256.hexdigest()


def _members(ctx: StepContext) -> dict[str, tuple[int, bytes | Path]]:
    found: dict[str, tuple[int, bytes | Path]] = {}
    prefix = ctx.params["prefix"]
    for row in ctx.params["members"]:
        tree = ctx.tree(row["address"])
        single = len(tree.entries) == 1 and row["address"].endswith("/" + next(iter(tree.entries)))
        for path, entry in tree.entries.items():
            name = f"{prefix}{row['path']}" if single else f"{prefix}{row['path'].rstrip('/')}/{path}"
            if name in found:
                raise PackageError(f"{ctx.name}: two members are named {name}", reason="archive-clash")
            on_disk = ctx.path(row["address"]) if single else ctx.path(row["address"]) / path
            found[name] = (row["mode"] or entry.mode, on_disk)
    return found


def _licences(ctx: StepContext) -> dict[str, tuple[int, bytes | Path]]:
    """Return the licence texts of every module that the binaries link."""
    found: dict[str, tuple[int, bytes | Path]] = {}
    prefix = f"{ctx.params['prefix']}licences/"
    missing = []
    for address, places in ctx.params["licences"].items():
        for module in build_info(ctx.path(address)).modules:
            used = module.replace or module
            texts = dict(_texts(ctx, places, used.path, used.version))
            missing += [] if texts else [module.path]
            for name, data in texts.items():
                found[f"{prefix}{module.path}/{name}"] = (0o644, data)
    ctx.facts["without_licence"] = sorted(set(missing))
    return found


def _texts(ctx: StepContext, places: list[str], path: str, version: str) -> Iterator[tuple[str, bytes]]:
    """Yield a module's licence files: from its zip, or from the root of the source tree that replaces it."""
    if path.startswith("."):
        yield from _tree_texts(ctx, path)
        return
    zips = ctx.tree(places[0])
    entry = zips.entries.get(f"cache/download/{escape(path)}/@v/{escape(version)}.zip")
    if entry is None:
        return
    with zipfile.ZipFile(io.BytesIO(ctx.store.read(entry))) as file:
        top = f"{path}@{version}/"
        for member in sorted(file.namelist()):
            if member.startswith(top) and _LICENCE.match(member[len(top) :]):
                yield member[len(top) :], file.read(member)


def _tree_texts(ctx: StepContext, relative: str) -> Iterator[tuple[str, bytes]]:
    """Yield the licence files of a replaced module, or of the source tree that it is part of."""
    for address, tree in ctx.trees.items():
        stage, _, rest = address.partition(":")
        root = f"../../../{stage}/{rest}"
        if relative == root or relative.startswith(root + "/"):
            inner = relative[len(root) :].lstrip("/")
            own = {e.rpartition("/")[2]: e for e in tree.entries if e.rpartition("/")[0] == inner}
            for name in sorted(own):
                if _LICENCE.match(name):
                    yield name, ctx.store.read(tree.entries[own[name]])
