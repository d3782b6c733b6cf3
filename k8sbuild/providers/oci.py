"""Images from a container registry, as the base of others: laid out as an OCI image layout, one platform of it."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from k8sbuild import oci
from k8sbuild.errors import FetchError, ResolveError
from k8sbuild.store.files import sha256_of

from ._registry import Registry, place_of
from .base import Context, Fetched, Request, check_lock, mismatch, offline, unknown_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from k8sbuild.progress import Progress

__all__ = ["fetch", "resolve"]


def resolve(ctx: Context, request: Request) -> str:
    """Return the version as given, after asking whether the registry has it.

    Raises:
        ResolveError: ``unknown-version``, with some of the tags that there are.
        FetchError: reasons of the network, ``bad-image-location``, ``auth-failed``, ``offline``.
    """
    if ctx.offline:
        raise offline(request)
    registry = Registry(place_of(request.location), ctx.env)
    tag, pinned = _reference(request)
    try:
        registry.manifest(pinned or tag)
    except FetchError as error:
        if error.reason != "not-found":
            raise
        unknown = unknown_version(request)
        unknown.hint = "check the location"
        with suppress(FetchError):
            unknown.hint = f"it has the tags {', '.join(registry.tags()[-8:])}"
        raise unknown from None
    return request.version


def fetch(ctx: Context, request: Request, dest: Path) -> Fetched:
    """Download an image and lay it out below ``dest``: ``oci-layout``, ``index.json``, ``blobs/sha256/…``.

    The location is ``HOST/REPOSITORY`` and, for an image of several platforms, ``#OS-ARCH``; the version a tag, a
    digest (``sha256:…``), or both (``v1@sha256:…``). What is locked is the digest of what the tag names, and with a
    lock that is what is asked for: a tag that has moved on changes nothing. Plain HTTP (``http://127.0.0.1:5000/…``)
    never leaves this machine.

    Raises:
        FetchError: ``digest-mismatch``, ``bad-image``, ``bad-image-location``, ``auth-failed``, ``offline`` and those
            of :mod:`k8sbuild.providers._http`.
    """
    place = place_of(request.location)
    tag, pinned = _reference(request)
    if ctx.offline:
        raise offline(request)
    registry = Registry(place, ctx.env)
    name = f"{place.repository}:{tag}" if tag else place.repository
    digest, top = _manifest(registry, request, ctx.locked.get(name) or pinned, tag)
    if pinned and digest != pinned:
        raise mismatch(request, {name: (pinned, digest)}, expected="the version says", hint="correct the version")
    check_lock(ctx, request, {name: digest})
    ctx.scratch.mkdir(parents=True, exist_ok=True)
    with _understood(request):
        _write(ctx, request, registry, dest, *_image(registry, request, digest, top, place.platform))
    return Fetched(transports={name: digest}, trust="pins" if pinned else "first-use")


def _reference(request: Request) -> tuple[str, str]:
    """Return tag and digest of a version; one of them may be empty."""
    text = request.version.strip()
    if oci.DIGEST.fullmatch(text):
        return "", text
    tag, _, digest = text.partition("@")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag) or (digest and not oci.DIGEST.fullmatch(digest)):
        raise ResolveError(
            f"{request.name}: {request.version!r} is no tag and no digest",
            reason="malformed-version",
            hint="write it like v1.2.3, sha256:… or v1.2.3@sha256:…",
        )
    return tag, digest


def _manifest(registry: Registry, request: Request, wanted: str, tag: str) -> tuple[str, bytes]:
    """Return digest and bytes of what a digest names, or else a tag."""
    digest, data = registry.manifest(wanted or tag)
    if wanted and digest != wanted:
        raise mismatch(request, {tag or "manifest": (wanted, digest)}, expected="was asked for")
    return digest, data


@contextmanager
def _understood(request: Request) -> Iterator[None]:
    """Name an answer that is none of a registry."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FetchError(
            f"{request.name} {request.version}: what the registry gave is no image: {error}",
            reason="bad-image",
            hint="check the location; images in Docker's first form (schema 1) are not understood",
        ) from None


def _image(registry: Registry, request: Request, digest: str, data: bytes, platform: str) -> tuple[str, bytes]:
    """Return digest and bytes of the manifest for a platform; an index may be in another."""
    found = json.loads(data)
    if "manifests" not in found:
        return digest, data
    row = oci.pick(found["manifests"], platform)
    if row is None:
        known = ", ".join(sorted({oci.platform_of(row) for row in found["manifests"]}))
        raise FetchError(
            f"{request.name} {request.version}: which platform? There is none for {platform or 'all'}, but {known}",
            reason="bad-image",
            hint=f"say it in the location, like {request.location.partition('#')[0]}#linux-amd64",
        )
    oci.blob_path(row["digest"])
    return _image(registry, request, *_manifest(registry, request, row["digest"], ""), platform)


def _write(ctx: Context, request: Request, registry: Registry, dest: Path, digest: str, data: bytes) -> None:
    """Write the layout of one manifest."""
    manifest = json.loads(data)
    rows = {row["digest"]: int(row["size"]) for row in (manifest["config"], *manifest["layers"])}
    (dest / "blobs/sha256").mkdir(parents=True)
    done, total = 0, sum(rows.values())
    for name, size in rows.items():
        place, told = dest / oci.blob_path(name), partial(_tell, ctx.progress, request.name, done, total)
        _blob(ctx, request, registry, name, told).rename(place)
        done += size
    row = {"mediaType": manifest.get("mediaType", oci.MANIFEST), "digest": digest, "size": len(data)}
    (dest / oci.blob_path(digest)).write_bytes(data)
    (dest / oci.LAYOUT_FILE).write_bytes(oci.LAYOUT)
    (dest / "index.json").write_bytes(oci.encode({"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": [row]}))


def _tell(progress: Progress, name: str, before: int, total: int, _what: str, done: int, _size: int) -> None:
    """Tell how much of an image has come, blob by blob."""
    progress(name, before + done, total)


def _blob(ctx: Context, request: Request, registry: Registry, digest: str, progress: Progress) -> Path:
    """Return the file of a blob: of an earlier try, else downloaded."""
    target = ctx.scratch / digest.replace(":", "-")
    found = f"sha256:{sha256_of(target)}" if target.is_file() else registry.blob(digest, target, progress)
    if found != digest:
        target.unlink()
        raise mismatch(request, {"blob": (digest, found)}, expected="the manifest says")
    return target
