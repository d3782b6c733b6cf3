"""Sources from a folder or file of the user's; a git checkout gives what git would add, not what it ignores."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.config import at_home
from k8sbuild.errors import FetchError, ResolveError
from k8sbuild.store.files import disk_errors

from . import layout
from .base import LATEST, Context, Fetched, Request, check_lock, normal_version
from .git import command

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["fetch", "resolve"]


def resolve(_ctx: Context, request: Request) -> str:
    """Return the version as given: a folder cannot tell its own.

    Raises:
        ResolveError: reasons ``malformed-version``, ``unknown-version``.
    """
    if request.version.strip() in LATEST:
        raise ResolveError(
            f"{request.name}: the folder {request.location} does not say its version",
            reason="unknown-version",
            hint="give the release that it comes from, for example v1.31.4",
        )
    return normal_version(request, partial=False)


def fetch(ctx: Context, request: Request, dest: Path) -> Fetched:
    """Copy the folder and lay it out below ``dest``; its transport is the digest of the laid-out tree.

    With the layout ``as-is`` the location may be a single file.

    Raises:
        FetchError: reasons ``not-a-folder``, ``bad-layout``, ``digest-mismatch``.
        StoreError: ``disk-full``, and what else keeps files from being copied.
    """
    source = at_home(request.location.replace("{version}", request.version))
    with disk_errors("copy", source):
        if source.is_file() and request.layout == "as-is":
            shutil.copy(source, dest / source.name)
        elif source.is_dir():
            _copy(source, dest, ctx)
        else:
            problem = f"{request.name}: {source} is not a folder"
            raise FetchError(problem, reason="not-a-folder", hint="check the location")
    layout.apply(dest, request)
    found = {"tree": tree_digest(dest)}
    check_lock(ctx, request, found)
    return Fetched(transports=found, trust="local")


def _copy(source: Path, dest: Path, ctx: Context) -> None:
    for name in _names(source, ctx):
        if (source / name).is_file() and not (source / name).is_symlink():
            (dest / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, dest / name)


def _names(source: Path, ctx: Context) -> Iterable[str]:
    if (source / ".git").exists():
        listed = command(ctx, ["ls-files", "-co", "--exclude-standard", "-z"], cwd=source)
        if not listed.code:
            return [os.fsdecode(name) for name in listed.out.split(b"\0") if name]
    files = (Path(root, name) for root, _, names in os.walk(source) for name in names)
    return [os.path.relpath(name, source) for name in files]


def tree_digest(folder: Path) -> str:
    """Return the digest of all files below ``folder``: paths, modes, contents."""
    lines = []
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            mode, content = path.stat().st_mode & 0o777, sha256(path.read_bytes()).hexdigest()
            lines.append(f"{mode:o} {content} {path.relative_to(folder).as_posix()}\n")
    return "sha256:" + sha256("".join(sorted(lines)).encode(errors="surrogateescape")).hexdigest()
