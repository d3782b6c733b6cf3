"""Safe extraction of zip and tar archives.

Nothing is written outside the destination, whatever the archive says: absolute
paths, ``..``, links that leave it, device files, and two members on one path
are refused, and so is an archive that unpacks to far more than it is.
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
import tarfile
import zipfile
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, TYPE_CHECKING

from k8sbuild.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Limits", "extract", "extract_tar", "extract_zip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an archive may unpack to: bytes, bytes per byte of archive, members."""

    size: int = 8 << 30
    ratio: int = 200
    count: int = 500_000
    #: Below this many bytes the ratio is not looked at: small texts compress well.
    ratio_from: int = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    name: str
    kind: str  # file, folder, link (symbolic, inside), hard
    executable: bool
    open: Callable[[], IO[bytes]]
    target: str = ""


class _Writer:
    """Writes members below ``dest`` and counts what they come to."""

    def __init__(self, archive: Path, dest: Path, limits: Limits, *, links: bool) -> None:
        self.archive = archive
        self.dest = dest
        self.limits = limits
        self.copied = ("link", "hard") if links else ("hard",)
        self.packed = max(archive.stat().st_size, 1)
        self.size = 0
        self.count = 0
        self.links: list[_Member] = []

    def add(self, member: _Member) -> None:
        self.count += 1
        if self.count > self.limits.count:
            raise self._bomb(f"more than {self.limits.count} members")
        if member.kind == "folder":
            self._folder(member)
        elif member.kind == "file":
            self._file(member)
        else:
            self.links.append(member)

    def finish(self) -> None:
        """Write links to files of the archive as copies, where asked; trees hold no links."""
        for member in self.links:
            source = self.dest / member.target
            if member.kind in self.copied and source.is_file():
                executable = bool(source.stat().st_mode & 0o100)
                self._file(replace(member, kind="file", executable=executable, open=partial(_binary, source)))

    def _folder(self, member: _Member) -> None:
        try:
            (self.dest / member.name).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise unsafe(self.archive, member.name, "a file and a folder on one path") from None

    def _file(self, member: _Member) -> None:
        path = self.dest / member.name
        mode = 0o755 if member.executable else 0o644
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        except (FileExistsError, NotADirectoryError):
            raise unsafe(self.archive, member.name, "two members on one path") from None
        with os.fdopen(number, "wb") as out, member.open() as source:
            os.fchmod(number, mode)
            while block := source.read(1 << 20):
                self._count(len(block))
                out.write(block)

    def _count(self, size: int) -> None:
        self.size += size
        if self.size > self.limits.size:
            raise self._bomb(f"more than {self.limits.size} bytes")
        if self.size > max(self.limits.ratio_from, self.limits.ratio * self.packed):
            raise self._bomb(f"more than {self.limits.ratio} times its size of {self.packed} bytes")

    def _bomb(self, why: str) -> FetchError:
        return FetchError(
            f"{self.archive.name}: unpacks to {why}",
            reason="archive-bomb",
            hint="the archive is not what it says: compare its digest with upstream's",
        )


def _binary(path: Path) -> IO[bytes]:
    return path.open("rb")


def unsafe(archive: Path, member: str, why: str) -> FetchError:
    """Return the error for a member that is refused."""
    return FetchError(
        f"{archive.name}: member {member!r}: {why}",
        reason="archive-unsafe",
        hint="the archive is not what it says: compare its digest with upstream's",
        details={"member": member},
    )


def damaged(archive: Path, error: Exception) -> FetchError:
    """Return the error for an archive that cannot be read."""
    return FetchError(
        f"{archive.name}: cannot be read as an archive: {error}",
        reason="archive-damaged",
        hint="it may be truncated or no archive at all (an error page?): fetch it again",
    )


def extract(archive: Path, dest: Path, limits: Limits | None = None, *, links: bool = True) -> str:
    """Extract a zip or tar (plain, gzip, bzip2, xz, zstandard), told by content, below ``dest``.

    Symbolic links to files inside become copies (or are left out, without ``links``),
    those to folders inside are left out; modes become 0644 or 0755.

    Returns:
        the commit that ``git archive`` noted in the file, else ``""``.

    Raises:
        FetchError: reasons ``archive-unsafe``, ``archive-bomb``, ``archive-damaged``.
    """
    with archive.open("rb") as stream:
        head = stream.read(6)
    if head.startswith(b"PK"):
        return extract_zip(archive, dest, limits=limits, links=links)
    return extract_tar(archive, dest, zstd=head.startswith(b"\x28\xb5\x2f\xfd"), limits=limits, links=links)


def extract_zip(
    archive: Path, dest: Path, *, prefix: str = "", limits: Limits | None = None, links: bool = True
) -> str:
    """Extract a zip; ``prefix`` must lead every member's name and is taken off."""
    writer = _Writer(archive, dest, limits or Limits(), links=links)
    try:
        with zipfile.ZipFile(archive) as source:
            for info in source.infolist():
                writer.add(_zip_member(source, info, archive, prefix))
            writer.finish()
            return source.comment.decode(errors="replace") if len(source.comment) == 40 else ""
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise damaged(archive, error) from None


def _zip_member(source: zipfile.ZipFile, info: zipfile.ZipInfo, archive: Path, prefix: str) -> _Member:
    if not info.filename.startswith(prefix):
        raise unsafe(archive, info.filename, f"not below {prefix}")
    mode = info.external_attr >> 16
    name = _safe(archive, info.filename[len(prefix) :], info.orig_filename)
    kind = {stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFREG: "file", 0: "file"}.get(stat.S_IFMT(mode), "")
    if not kind:
        raise unsafe(archive, info.filename, "a device or other special file")
    if info.is_dir():
        kind = "folder"
    target = _inside(archive, name, source.read(info).decode(errors="replace")) if kind == "link" else ""
    return _Member(name=name, kind=kind, executable=bool(mode & 0o100), open=lambda: source.open(info), target=target)


def extract_tar(
    archive: Path, dest: Path, *, zstd: bool = False, limits: Limits | None = None, links: bool = True
) -> str:
    """Extract a tar; see :func:`extract`."""
    writer = _Writer(archive, dest, limits or Limits(), links=links)
    try:
        with archive.open("rb") as raw, _tar(raw, zstd) as source:
            for info in source:
                writer.add(_tar_member(source, info, archive))
            writer.finish()
            return str(source.pax_headers.get("comment", ""))
    except _tar_errors(zstd) as error:
        raise damaged(archive, error) from None


def _tar_errors(zstd: bool) -> tuple[type[Exception], ...]:
    if zstd:
        import zstandard

        return (tarfile.TarError, EOFError, zstandard.ZstdError)
    import gzip
    import lzma
    import zlib

    return (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def _tar(raw: IO[bytes], zstd: bool) -> tarfile.TarFile:
    if not zstd:
        return tarfile.open(fileobj=raw, mode="r:*")
    import zstandard

    return tarfile.open(fileobj=zstandard.ZstdDecompressor().stream_reader(raw), mode="r|")


def _tar_member(source: tarfile.TarFile, info: tarfile.TarInfo, archive: Path) -> _Member:
    name = _safe(archive, info.name)
    executable = bool(info.mode & 0o100)
    if info.isdir():
        return _Member(name=name, kind="folder", executable=False, open=io.BytesIO)
    if info.issym():
        target = _inside(archive, name, info.linkname)
        return _Member(name=name, kind="link", executable=False, open=lambda: _content(source, info), target=target)
    if info.islnk():
        target = _safe(archive, info.linkname)
        return _Member(
            name=name, kind="hard", executable=executable, open=lambda: _content(source, info), target=target
        )
    if not info.isreg():
        raise unsafe(archive, info.name, "a device or other special file")
    return _Member(name=name, kind="file", executable=executable, open=lambda: _content(source, info))


def _content(source: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = source.extractfile(info)
    if stream is None:
        raise tarfile.ReadError(f"{info.name} has no content")
    return stream


def _safe(archive: Path, name: str, shown: str = "") -> str:
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or ".." in parts:
        raise unsafe(archive, shown or name, "leaves the archive's folder")
    if "\0" in (shown or name) or "\\" in name:
        raise unsafe(archive, shown or name, "a name that file systems read differently")
    return posixpath.normpath("/".join(parts))


def _inside(archive: Path, name: str, target: str) -> str:
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if target.startswith("/") or path == ".." or path.startswith("../"):
        raise unsafe(archive, name, f"a link out of the archive's folder, to {target!r}")
    return path
