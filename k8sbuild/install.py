"""Installs a build: by the installer in its archive, else programs, units and settings, after a look at the sums.

>>> from pathlib import Path
>>> from k8sbuild import api
>>> request = api.Request(flags={}, env={}, root=Path("."))
>>> api.install(request, root=Path("/tmp/stage")).files             # doctest: +SKIP
('usr/local/bin/k8s', 'etc/systemd/system/k8s.service', 'etc/default/k8s')
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING

from .build import Platform, host_platform
from .errors import PackageError
from .project import setup
from .providers.extract import extract_tar
from .store.files import Draft, disk_errors, sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .project import Request, Setup

__all__ = ["Installed", "install"]

_SETTINGS = ".env.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What was installed, relative to ``root``; ``kept`` are settings that were there and stay as they are."""

    root: str
    archive: str
    files: tuple[str, ...]
    kept: tuple[str, ...] = ()


def install(request: Request, *, root: Path = Path("/"), dry: bool = False) -> Installed:
    """Install the archive that a build left in ``dist/artifacts``.

    A target's own installer (``Target.installer``) does what it does on a machine without this toolkit.
    Without one, programs go to ``usr/local/bin`` (0755), units to ``etc/systemd/system`` and settings to
    ``etc/default`` (0644). Files are replaced in one step each, so that a program that runs goes on.

    Args:
        root: the folder that is the system's root, or a folder to stage in.
        dry: only look, and say what would be installed.

    Raises:
        PackageError: ``not-built``, ``several-archives``, ``sum-differs`` (nothing is written then);
            ``installer-failed``.
        StoreError: the disk is full, or may not be written.
    """
    base = setup(request)
    folder = base.artifacts
    sums = _sums(folder)
    archive = folder / _archive(base, folder, sums)
    _check(folder, sums)
    if base.target.installer:
        return _by_installer(base.target.installer, archive, root, dry)
    files, kept = [], []
    for member, content in _members(archive):
        place = _place(member)
        if not place:
            continue
        if place.startswith("etc/default/") and (root / place).exists():
            kept.append(place)
            continue
        files.append(place)
        if not dry:
            _write(root / place, content, 0o755 if member.mode & 0o100 else 0o644)
    return Installed(root=str(root), archive=str(archive), files=tuple(files), kept=tuple(kept))


def _by_installer(name: str, archive: Path, root: Path, dry: bool) -> Installed:
    """Unpack the archive among its artifacts, and run the installer in it."""
    target = root.absolute()
    with TemporaryDirectory(prefix="k8sbuild-install-") as temporary:
        folder = Path(temporary)
        extract_tar(archive, folder / "unpacked", zstd=True)
        (inside,) = (folder / "unpacked").iterdir()
        for path in archive.parent.iterdir():
            if path.is_file():  # archives of images, which it takes from beside it
                (folder / "unpacked" / path.name).symlink_to(path)
        said = _run(inside / name, f"--root={target}", *(["--dry-run"] if dry else []))
    rows = [line.split(maxsplit=1) for line in said.splitlines() if line]
    places = [(row[0], Path(row[1])) for row in rows if len(row) > 1 and Path(row[1]).is_relative_to(target)]
    became = {what: tuple(str(p.relative_to(target)) for w, p in places if w == what) for what in ("installed", "kept")}
    return Installed(root=str(root), archive=str(archive), files=became["installed"], kept=became["kept"])


def _run(program: Path, *flags: str) -> str:
    hint = f"run `{program.name} install` on a machine that the program is for"
    try:
        done = subprocess.run([program, "install", *flags], capture_output=True, text=True, env={})
    except OSError as error:
        raise PackageError(f"{program.name} cannot run here: {error}", reason="installer-failed", hint=hint) from None
    if done.returncode:
        raise PackageError(done.stderr.strip() or f"{program.name} failed", reason="installer-failed", hint=hint)
    return done.stdout


def _sums(folder: Path) -> dict[str, str]:
    path = folder / "SHA256SUMS"
    if not path.is_file():
        raise PackageError(f"{folder} has no SHA256SUMS", reason="not-built", hint="k8sbuild build")
    lines = path.read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines) if name}


def _archive(base: Setup, folder: Path, sums: Mapping[str, str]) -> str:
    """Return the one archive for the platform that the target has."""
    platform = Platform(arch=base.text("arch") or host_platform().arch)
    # Other archives of the target, such as images for its nodes, have longer names.
    forms = [_form(name, platform) for name in base.target.artifacts if name.endswith(".tar.zst")]
    found = [name for name in sums if any(map(methodcaller("fullmatch", name), forms)) and (folder / name).is_file()]
    if len(found) > 1:
        raise PackageError(
            f"{folder} has several archives: {', '.join(found)}",
            reason="several-archives",
            hint="k8sbuild clean, then build the one to install",
        )
    if not found:
        raise PackageError(f"{folder} has no archive for {platform}", reason="not-built", hint="k8sbuild build")
    return found[0]


def _form(name: str, platform: Platform) -> re.Pattern[str]:
    """Return what an artifact's name looks like for a platform, whatever the version.

    >>> form = _form("k8s-{k8s}-{os}-{arch}.tar.zst", Platform(arch="arm64"))
    >>> [bool(form.fullmatch(f"k8s-{it}-linux-arm64.tar.zst")) for it in ("v1.31.4", "images-v1.31.4")]
    [True, False]
    """
    values = {"k8s": r"v\d.*", "os": platform.os, "arch": platform.arch}
    return re.compile(re.sub(r"\\{(\w+)\\}", lambda found: values.get(found[1], ".*"), re.escape(name)))


def _check(folder: Path, sums: Mapping[str, str]) -> None:
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            continue  # the sum of an uncompressed archive, which is not kept
        found = sha256_of(path)
        if found != expected:
            raise PackageError(
                f"{path} is not what the build made: expected {expected}, found {found}",
                reason="sum-differs",
                hint="k8sbuild build writes it again",
                details={"file": str(path), "expected": expected, "found": found},
            )


@contextmanager
def _tar(archive: Path) -> Iterator[tarfile.TarFile]:
    import zstandard

    with (
        archive.open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        yield tar


def _members(archive: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    with _tar(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                yield member, content


def _place(member: tarfile.TarInfo) -> str:
    """Return where a member goes, empty for what is not installed (licences)."""
    path = PurePosixPath(member.name)
    if "licences" in path.parts:
        return ""
    if path.suffix == ".service":
        return f"etc/systemd/system/{path.name}"
    if path.name.endswith(_SETTINGS):
        return f"etc/default/{path.name.removesuffix(_SETTINGS)}"
    return f"usr/local/bin/{path.name}" if member.mode & 0o100 else ""


def _write(dest: Path, content: IO[bytes], mode: int) -> None:
    with disk_errors("install", dest):
        dest.parent.mkdir(parents=True, exist_ok=True)
        with Draft(dest.parent) as draft:
            shutil.copyfileobj(content, draft.file)
            draft.publish(dest, mode, durable=True)
