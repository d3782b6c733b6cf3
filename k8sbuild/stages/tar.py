"""Deterministic tars: sorted members, one time, owners as numbers; the same bytes wherever they are made."""

from __future__ import annotations

import hashlib
import io
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from k8sbuild.errors import PackageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from k8sbuild.engine.context import StepContext

__all__ = ["Hashing", "Member", "epoch", "placed", "write_compressed", "write_file", "write_tar"]

#: Bytes that a thread compresses at a time: a quarter of zstd's own choice, for half of the memory and 1 % more space.
_JOB = 2 << 20
#: Bytes of a file that are read at a time.
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of a tar: a file where it has content, else a symbolic link or a folder.

    Args:
        mode: permission bits.
        content: bytes, or the file that has them.
        link: where a symbolic link leads.
        uid, gid: owner.
    """

    mode: int
    content: bytes | Path | None = None
    link: str = ""
    uid: int = 0
    gid: int = 0


def epoch(date: str) -> int:
    """Return SOURCE_DATE_EPOCH of an RFC 3339 time; 0 for an unknown one.

    Source: https://reproducible-builds.org/specs/source-date-epoch/
    """
    return int(datetime.fromisoformat(date).timestamp()) if date else 0


def placed(ctx: StepContext, rows: Iterable[Mapping[str, Any]], *, prefix: str = "") -> dict[str, Member]:
    """Return the files of addresses at their places.

    Args:
        rows: ``address``, ``path``, ``mode`` (``None`` for the file's own); an owner where there is one.
        prefix: put before each path.

    Raises:
        PackageError: ``archive-clash``, two have one name.
    """
    found: dict[str, Member] = {}
    for row in rows:
        for path, member in _files(ctx, row):
            name = prefix + path
            if name in found:
                raise PackageError(f"{ctx.name}: two members are named {name}", reason="archive-clash")
            found[name] = member
    return found


def _files(ctx: StepContext, row: Mapping[str, Any]) -> Iterator[tuple[str, Member]]:
    address: str = row["address"]
    tree, on_disk = ctx.tree(address), ctx.path(address)
    owner = {name: row.get(name, 0) for name in ("uid", "gid")}
    single = len(tree.entries) == 1 and address.endswith("/" + next(iter(tree.entries)))
    for path, entry in tree.entries.items():
        place = row["path"] if single else "/".join(filter(None, [row["path"].rstrip("/"), path]))
        content = on_disk if single else on_disk / path
        yield place, Member(mode=entry.mode if row["mode"] is None else row["mode"], content=content, **owner)


class Hashing(io.RawIOBase):
    """Passes on what is written and hashes it."""

    def __init__(self, below: IO[bytes]) -> None:
        self._below = below
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        """Return the position as a tar sees it, which begins here."""
        return 0

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self._below.write(data)
        return len(data)


def write_tar(out: IO[bytes], members: Mapping[str, Member], time: int) -> str:
    """Write a tar and return its sha256 in hex.

    Args:
        members: by name.
        time: of all members, seconds.
    """
    hashing = Hashing(out)
    _pack(cast("IO[bytes]", hashing), members, time)
    return hashing.sha256.hexdigest()


def _pack(out: IO[bytes], members: Mapping[str, Member], time: int) -> None:
    with tarfile.TarFile(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, copybufsize=_CHUNK) as tar:
        for name, member in sorted(members.items()):
            _add(tar, name, member, time)


def _add(tar: tarfile.TarFile, name: str, member: Member, time: int) -> None:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime, info.uid, info.gid = member.mode, time, member.uid, member.gid
    if isinstance(member.content, Path):
        info.size = member.content.stat().st_size
        with member.content.open("rb") as file:
            tar.addfile(info, file)
    elif member.content is not None:
        info.size = len(member.content)
        tar.addfile(info, io.BytesIO(member.content))
    else:
        info.type = tarfile.SYMTYPE if member.link else tarfile.DIRTYPE
        info.linkname = member.link
        tar.addfile(info)


def write_file(ctx: StepContext, members: Mapping[str, Member]) -> None:
    """Write ``params["file"]``, compressed where it ends in ``.zst``."""
    target = ctx.out / ctx.params["file"]
    if target.suffix == ".zst":
        write_compressed(ctx, members)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # An artifact has its sum anyway.
    with target.open("wb") as file:
        _pack(file, members, epoch(ctx.params["date"]))


def write_compressed(ctx: StepContext, members: Mapping[str, Member]) -> None:
    """Write ``params["file"]``, compressed by zstd with ``params["level"]``.

    The sum of the uncompressed tar is a fact, since compressed bytes depend on the zstd release.
    """
    p = ctx.params
    with _compressed(ctx.out / p["file"], level=p["level"], cores=ctx.cores) as packed:
        digest = write_tar(packed, members, epoch(p["date"]))
    ctx.facts["sums"] = {p["file"].removesuffix(".zst"): digest}


@contextmanager
def _compressed(target: Path, *, level: int, cores: int) -> Iterator[IO[bytes]]:
    """Give a stream whose content is in ``target`` at the end."""
    import zstandard

    target.parent.mkdir(parents=True, exist_ok=True)
    # How many threads there are does not change the bytes. Each holds several jobs.
    threads = min(max(1, cores), 4)
    parameters = zstandard.ZstdCompressionParameters.from_level(level, threads=threads, job_size=_JOB)
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    with target.open("wb") as file, compressor.stream_writer(file) as stream:
        yield stream
