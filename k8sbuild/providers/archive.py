"""Sources as archives (zip, tar.*) from a URL."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urldefrag, urlsplit

from k8sbuild.errors import FetchError, ResolveError
from k8sbuild.store.files import sha256_of

from . import _http, layout
from .base import Context, Fetched, Request, check_lock, mismatch, normal_version, offline, unknown_version
from .extract import extract

__all__ = ["fetch", "resolve"]


def resolve(ctx: Context, request: Request) -> str:
    """Return the version as given, after asking whether its archive is there.

    Raises:
        ResolveError: reasons ``malformed-version``, ``unknown-version``.
        FetchError: reasons of the download.
    """
    version = normal_version(request)
    if version == "latest" or version.count(".") < 2:
        raise ResolveError(
            f"{request.name}: an archive's address needs an exact version, not {request.version!r}",
            reason="unknown-version",
            hint="give one like v1.31.4, or use the provider gomod or git",
        )
    url, _ = _address(request, version)
    local = _file(url)
    there = local.is_file() if local else ctx.offline or _http.exists(url, ctx.env)
    if not there:
        raise unknown_version(request, why=f"nothing at {url}")
    return version


def fetch(ctx: Context, request: Request, dest: Path) -> Fetched:
    """Download the archive and lay it out below ``dest``.

    ``{version}`` in the location is filled in; a fragment ``#sha256=…`` pins the digest.

    Raises:
        FetchError: reasons ``digest-mismatch``, ``archive-unsafe``, ``archive-bomb``,
            ``archive-damaged``, ``bad-layout``, ``offline`` and those of :mod:`k8sbuild.providers._http`.
    """
    url, pinned = _address(request, request.version)
    ctx.scratch.mkdir(parents=True, exist_ok=True)
    path, digest = _get(ctx, request, url)
    if pinned and digest != pinned:
        raise mismatch(
            request,
            {"archive": (pinned, digest)},
            expected="the location says",
            hint="where upstream really changed: correct #sha256=… in the location",
        )
    with TemporaryDirectory(dir=ctx.scratch) as folder:
        # A module zip holds no links, so no other layout does.
        commit = extract(path, Path(folder), links=request.layout == "as-is")
        lift(Path(folder), dest)
    layout.apply(dest, request, commit)
    # Only now, so that the error can say whether what is in it is the same.
    check_lock(ctx, request, {"archive": digest})
    return Fetched(transports={"archive": digest}, trust="pins" if pinned else "first-use")


def _address(request: Request, version: str) -> tuple[str, str]:
    url, fragment = urldefrag(request.location.replace("{version}", version))
    kind, _, digest = fragment.partition("=")
    return url, f"sha256:{digest.lower()}" if kind == "sha256" else ""


def _file(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _get(ctx: Context, request: Request, url: str) -> tuple[Path, str]:
    local = _file(url)
    if local is None and ctx.offline:
        raise offline(request)
    if local is None:
        target = ctx.scratch / "archive"
        return target, "sha256:" + _http.download(url, target, env=ctx.env, progress=ctx.progress, what=request.name)
    try:
        return local, f"sha256:{sha256_of(local)}"
    except OSError as error:
        raise FetchError(f"{request.name}: {error}", reason="not-found", hint="check the location") from None


def lift(unpacked: Path, dest: Path) -> None:
    """Move the source to ``dest``, without the one folder that archives of releases have around it."""
    top = list(unpacked.iterdir())
    inner = top[0] if len(top) == 1 and top[0].is_dir() else unpacked
    for path in list(inner.iterdir()):
        path.rename(dest / path.name)
