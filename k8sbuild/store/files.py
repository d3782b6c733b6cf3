"""Files that appear whole or not at all, and disk errors with a reason.

A `Draft` is written under a temporary name in the folder where it will live
and takes its final name by ``os.replace``. While it is written its temporary
file is locked (``flock``), so that a collector can tell the rest of a killed
process from work in progress, whatever the process ids are (containers that
share a store have different ones).
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from contextlib import contextmanager, suppress
from hashlib import file_digest
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Self

from k8sbuild.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

__all__ = [
    "CHUNK",
    "RACY_NS",
    "TMP_PREFIX",
    "Draft",
    "Found",
    "Stat",
    "disk_errors",
    "disk_full",
    "is_abandoned",
    "is_full",
    "plain_mode",
    "sha256_of",
    "stat_of",
    "walk",
    "write_file",
    "write_new",
]

CHUNK = 1 << 20
TMP_PREFIX = ".k8sbuild-tmp-"
#: A file that changed so shortly before it was looked at may change again without another state.
RACY_NS = 2_000_000_000

#: EFBIG: a limit of this process (``ulimit -f``); who does not ask for the error gets the signal XFSZ.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_TEXTS = tuple(text.lower() for text in (*map(os.strerror, _FULL), signal.strsignal(signal.SIGXFSZ)) if text)
_DENIED = {errno.EROFS, errno.EACCES, errno.EPERM}
#: What a path meets that cannot be where it is said to be.
_MISPLACED = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}


class Stat(NamedTuple):
    """What tells one state of a file from another without reading it."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int


class Found(NamedTuple):
    """What a folder holds: everything that is no folder, and the folders (paths with ``/``)."""

    files: dict[str, Stat]
    folders: set[str]


def plain_mode(mode: int) -> int:
    """Return the mode that a file has in trees: 0o755 where its owner may execute it, else 0o644."""
    return 0o755 if mode & 0o100 else 0o644


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content, 64 hex digits.

    Raises:
        OSError: it cannot be read.
    """
    # file_digest has a buffer of its own.
    with path.open("rb", buffering=0) as file:
        return file_digest(file, "sha256").hexdigest()


def stat_of(status: os.stat_result) -> Stat:
    """Return the part of *status* that a stat index keeps."""
    return Stat(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode)


@contextmanager
def disk_errors(doing: str, path: Path | str) -> Iterator[None]:
    """Turn an ``OSError`` of the block into a StoreError that names *path*.

    Raises:
        StoreError: ``disk-full``, ``store-read-only`` or, for the rest, ``disk-failed``.

    >>> with disk_errors("write", "/store/blobs"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    k8sbuild.errors.StoreError: cannot write /store/blobs: No space left on device
    """
    try:
        yield
    except OSError as error:
        raise _store_error(doing, path, error) from error


def is_full(problem: OSError | str) -> bool:
    """Tell an error, or a command's output, that says that the disk, the quota or the limit of a file is full.

    >>> is_full("write /tmp/a.o: no space left on device")
    True
    """
    if isinstance(problem, OSError):
        return problem.errno in _FULL
    return any(text in problem.lower() for text in _FULL_TEXTS)


def _store_error(doing: str, path: Path | str, error: OSError) -> StoreError:
    message = f"cannot {doing} {path}: {error.strerror or error}"
    if is_full(error):
        return disk_full(message, path=str(path))
    reason, hint = "disk-failed", "look at the disk and the kernel's log, then run again: k8sbuild doctor"
    if error.errno in _DENIED:
        reason, hint = "store-read-only", "make the folder writable for you, or name another one"
    elif error.errno in _MISPLACED:
        hint = "look whether something else has that name, or give another path"
    return StoreError(message, reason=reason, hint=hint, details={"path": str(path)})


def disk_full(message: str, *, log: str = "", **details: str) -> StoreError:
    """Return the error ``disk-full``."""
    hint = "free some space, for example with: k8sbuild gc, or raise the limit (ulimit -f), then run again"
    return StoreError(message, reason="disk-full", hint=hint, log=log, details=details)


class Draft:
    """A file that is being written; it is removed unless it is published.

    Args:
        folder: where the file will live; made when missing.

    >>> with Draft(tmp) as draft:                       # doctest: +SKIP
    ...     draft.file.write(b"all of it")
    ...     draft.publish(tmp / "name", 0o644)
    """

    file: BinaryIO

    def __init__(self, folder: Path) -> None:
        descriptor, self._held, self._path = _locked_temporary(folder)
        self._open = True
        self.file = os.fdopen(descriptor, "wb")

    def __enter__(self) -> Self:
        return self

    def publish(self, dest: Path, mode: int, *, durable: bool = False) -> Stat:
        """Give the file its name; *durable* first waits until the disk has it.

        Returns:
            The file's state. Times, size and inode are those of what was written, even if someone changed the
            file since, so that the change shows.
        """
        self.file.flush()
        descriptor = self.file.fileno()
        os.fchmod(descriptor, mode)
        if durable:
            os.fsync(descriptor)
        written = stat_of(os.fstat(descriptor))
        # A program that is open for writing cannot be run, and renaming may take long: some file systems write it out.
        self.file.close()
        os.replace(self._path, dest)
        self._open = False
        # Renaming changes the ctime, so it is the only part that is read afterwards.
        return written._replace(ctime_ns=os.fstat(self._held).st_ctime_ns)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            with suppress(OSError):
                os.unlink(self._path)
        with suppress(OSError):
            self.file.close()
        os.close(self._held)


def _locked_temporary(folder: Path) -> tuple[int, int, str]:
    """Return a new file: what writes it, what holds its lock, its path."""
    while True:
        descriptor, path = _make_temporary(folder)
        with suppress(FileNotFoundError):
            held = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            fcntl.flock(held, fcntl.LOCK_EX)
            if os.fstat(held).st_nlink:
                return descriptor, held, path
            os.close(held)
        # A collector saw the file before we had locked it, and removed it.
        os.close(descriptor)


def _make_temporary(folder: Path) -> tuple[int, str]:
    path = os.path.join(folder, TMP_PREFIX + os.urandom(8).hex())
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600), path
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o600), path


def write_file(dest: Path, data: bytes) -> Stat:
    """Write *data* to *dest* atomically and return the file's state.

    Raises:
        StoreError: ``disk-full``, ``store-read-only``, ``disk-failed``; *dest* is then as it was.
    """
    with disk_errors("write", dest), Draft(dest.parent) as draft:
        draft.file.write(data)
        return draft.publish(dest, 0o644)


def write_new(dest: str, chunks: Iterable[bytes], mode: int, mtime_ns: int) -> Stat:
    """Write a file where there is none, or in the place of one, and return its state; not atomic, and fast.

    Raises:
        OSError: it cannot be written.
    """
    descriptor = _create(dest, mode)
    try:
        for chunk in chunks:
            written = os.write(descriptor, chunk)
            while written < len(chunk):
                written += os.write(descriptor, chunk[written:])
        os.utime(descriptor, ns=(mtime_ns, mtime_ns))
        status = os.fstat(descriptor)
        if status.st_mode & 0o7777 != mode:
            os.fchmod(descriptor, mode)
            status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return stat_of(status)


def _create(dest: str, mode: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        return os.open(dest, flags, mode)
    except FileExistsError:
        # Whatever it is, nothing is written through it.
        os.unlink(dest)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(dest), exist_ok=True)
    return os.open(dest, flags, mode)


def is_abandoned(temporary: Path) -> bool:
    """Whether no living process is writing the temporary file; vanished ones count as written."""
    try:
        descriptor = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def walk(folder: Path) -> Found:
    """List *folder* without following links; a missing folder is an empty one.

    Raises:
        StoreError: a folder cannot be listed.
    """
    found = Found({}, set())
    with disk_errors("list", folder):
        if folder.exists():
            _walk(os.open(folder, _FOLDER), "", found)
    return found


_FOLDER = os.O_RDONLY | os.O_DIRECTORY


def _walk(descriptor: int, prefix: str, found: Found) -> None:
    """List a folder and close its descriptor: to look up names relative to it costs less than long paths."""
    try:
        with os.scandir(descriptor) as items:
            for item in list(items):
                status = item.stat(follow_symlinks=False)
                path = prefix + item.name
                if stat.S_ISDIR(status.st_mode):
                    found.folders.add(path)
                    below = os.open(item.name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                    _walk(below, path + "/", found)
                else:
                    found.files[path] = stat_of(status)
    finally:
        os.close(descriptor)
