"""Sources as Go modules: the ``go`` client, the user's GOPROXY and checksum database."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from k8sbuild.build import host_platform
from k8sbuild.errors import BuildError, ResolveError
from k8sbuild.golang.modfile import staging_modules
from k8sbuild.golang.semver import is_version, staging_version

from . import layout
from .base import Context, Fetched, Request, check_lock, normal_version, unknown_version
from .extract import extract_zip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from k8sbuild.golang.client import Downloaded, GoClient

__all__ = ["fetch", "resolve"]


def resolve(ctx: Context, request: Request) -> str:
    """Return the exact version: the newest patch of ``v1.31``, the newest release for ``latest``.

    A toolchain's ``1.25.5`` becomes the version of its module for this machine.

    Raises:
        ResolveError: reasons ``unknown-version``, ``malformed-version``, and those of the ``go`` client.
    """
    if request.layout == "toolchain":
        return toolchain_version(request)
    version = normal_version(request)
    if ctx.offline and is_version(version):
        return version
    client = ctx.go()
    try:
        return str(client.query(f"{request.location}@{version}")["Version"])
    except BuildError as error:
        if error.reason in ("module-not-found", "proxy-error"):
            known = client.versions(request.location)
            # Some proxies refuse what they do not have, and still list what they have.
            if error.reason == "module-not-found" or (known and version not in known):
                raise unknown_version(request, known) from None
        raise ResolveError(
            error.message, reason=error.reason, hint=error.hint, details=error.details, log=error.log
        ) from None


def toolchain_version(request: Request) -> str:
    """Return the version of ``golang.org/toolchain`` for a Go release, on this machine.

    Raises:
        ResolveError: reason ``malformed-version``.
    """
    version = request.version.removeprefix("go")
    if version.startswith("v0.0.1-go"):
        return version
    if not re.fullmatch(r"1\.\d+(\.\d+)?((rc|beta)\d+)?", version):
        raise ResolveError(
            f"{request.name}: {request.version!r} is no Go release",
            reason="malformed-version",
            hint="write it like 1.25.5",
        )
    return f"v0.0.1-go{version}.{host_platform()}"


def fetch(ctx: Context, request: Request, dest: Path) -> Fetched:
    """Download the module (canonical: with its staging modules) and lay it out below ``dest``.

    Raises:
        FetchError: reasons of the ``go`` client, and ``digest-mismatch``.
    """
    version = toolchain_version(request) if request.layout == "toolchain" else request.version
    client = ctx.go()
    main = client.download([f"{request.location}@{version}"], ctx.progress, log=ctx.log)[0]
    staging = _staging(ctx, client, main) if request.layout == "canonical" else []
    found = {module.name: module.sum for module in (main, *staging)}
    check_lock(ctx, request, found)
    _unpack(main, dest)
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda module: _unpack(module, dest / layout.STAGING / module.path), staging))
    layout.apply(dest, replace(request, version=version))
    trust = "checksum-db" if all(m.trust == "checksum-db" for m in (main, *staging)) else "first-use"
    return Fetched(transports=found, trust=trust, time=main.time)


def _staging(ctx: Context, client: GoClient, main: Downloaded) -> Sequence[Downloaded]:
    version = staging_version(main.version)
    names = [f"{path}@{version}" for path in staging_modules(main.mod.read_bytes())]
    return client.download(names, ctx.progress, log=ctx.log)


def _unpack(module: Downloaded, dest: Path) -> None:
    dest.mkdir(parents=True, exist_ok=True)
    extract_zip(module.zip, dest, prefix=f"{module.name}/")
