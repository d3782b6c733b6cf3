"""Debian packages with all that they need, from the archives that this machine's apt knows; see ``Source.debian``."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from k8sbuild import debian
from k8sbuild.errors import FetchError, ResolveError, suggest
from k8sbuild.store.files import sha256_of

from . import _apt, _http
from .base import Context, Fetched, Request, check_lock, mismatch, offline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["fetch", "resolve"]


def resolve(ctx: Context, request: Request) -> str:
    """Return the version as given, after looking whether apt knows such a suite.

    Raises:
        ResolveError: ``unknown-version``, ``malformed-version``.
    """
    _repositories(ctx, request)
    return request.version


def fetch(ctx: Context, request: Request, dest: Path) -> Fetched:
    """Download packages into ``dest``, one ``.deb`` each.

    The version begins with the suite; the suites of updates and security fixes beside it count as well. Without a lock
    the newest packages are taken that the signed indices list, with all that they need; with one, those that it names.

    Raises:
        ResolveError: ``unknown-package``, ``unknown-version``.
        FetchError: ``bad-signature``, ``release-expired``, ``bad-package-index``, ``digest-mismatch``, ``offline`` and
            those of :mod:`k8sbuild.providers._http`.
        ToolError: ``no-gpgv``.
    """
    repositories = _repositories(ctx, request)
    if ctx.offline:
        raise offline(request)
    ctx.scratch.mkdir(parents=True, exist_ok=True)
    chosen = {} if ctx.locked else {p.path: p for p in _chosen(ctx, request, repositories)}
    wanted = dict(ctx.locked) or {path: f"sha256:{package.sha256}" for path, package in chosen.items()}
    for number, (path, digest) in enumerate(sorted(wanted.items())):
        ctx.progress(request.name, number, len(wanted))
        where = repositories[chosen[path].repository : chosen[path].repository + 1] if chosen else repositories
        file = _download(ctx, request, [r.address for r in where], path)
        found = f"sha256:{sha256_of(file)}"
        if found != digest:
            file.unlink()
            raise mismatch(request, {path: (digest, found)}, expected="is locked" if ctx.locked else "the index says")
        file.rename(dest / PurePosixPath(path).name)
    check_lock(ctx, request, wanted)
    return Fetched(transports=wanted, trust="signed-release")


def _repositories(ctx: Context, request: Request) -> list[_apt.Repository]:
    suite = request.version.partition("+")[0]
    if not re.fullmatch(r"[a-z][a-z0-9-]*", suite):
        raise ResolveError(
            f"{request.name}: {request.version!r} does not begin with the name of a suite",
            reason="malformed-version",
            hint="write it like bookworm",
        )
    known = _apt.configured(ctx.env)
    found = [r for r in known if r.suite in (suite, f"{suite}-updates", f"{suite}-security")]
    if not found:
        listed = ", ".join(sorted({r.suite for r in known}))
        raise ResolveError(
            f"{request.name}: apt's sources on this machine do not have the suite {suite}",
            reason="unknown-version",
            hint=f"they have: {listed}"
            if listed
            else f"there are none; {_apt.VARIABLE} names another folder than {_apt.ETC}",
        )
    return found


def _chosen(ctx: Context, request: Request, repositories: Sequence[_apt.Repository]) -> list[debian.Package]:
    words, _, arch = request.location.partition("#")
    listed: list[debian.Package] = []
    for number, repository in enumerate(repositories):
        listed += _apt.packages_of(ctx, repository, number, arch)
    known = debian.index(listed)
    try:
        return debian.closure(known, words.split())
    except KeyError as error:
        name = str(error.args[0])
        raise ResolveError(
            f"{request.name}: {repositories[0].suite} has no package {name} for {arch}{suggest(name, known)}",
            reason="unknown-package",
            hint="check the name and the components in apt's sources",
        ) from None


def _download(ctx: Context, request: Request, addresses: Sequence[str], path: str) -> Path:
    """Return the file of a package from the first archive that has it."""
    target = ctx.scratch / PurePosixPath(path).name
    missing: FetchError | None = None
    for address in dict.fromkeys(addresses):
        try:
            _http.download(f"{address}/{quote(path)}", target, env=ctx.env, what=request.name)
        except FetchError as error:
            if error.reason != "not-found":
                raise
            missing = error
        else:
            return target
    assert missing is not None
    # Archives keep the newest packages only.
    missing.hint = "lock newer ones with k8sbuild lock --update, or name an archive of snapshots in apt's sources"
    raise missing
