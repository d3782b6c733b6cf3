"""The types that every provider shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k8sbuild.errors import FetchError, ResolveError
from k8sbuild.golang.semver import is_version, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from k8sbuild.golang.client import GoClient
    from k8sbuild.progress import Progress

__all__ = ["Context", "Fetched", "Request", "accept", "check_lock", "normal_version", "offline"]

#: Words that ask for the newest known version.
LATEST = ("", "latest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to fetch.

    Args:
        name: the source's name, for messages.
        version: exact for ``fetch``; may be ``latest`` or ``v1.31`` for ``resolve``.
        kind: the provider's kind.
        location: where this provider finds it; ``{version}`` is filled in by the provider.
        layout: ``canonical``, ``module``, ``bare``, ``as-is`` or ``toolchain``.
    """

    name: str
    version: str
    kind: str
    location: str
    layout: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What was fetched.

    Args:
        transports: digest by what was transported, for example
            ``{"k8s.io/api@v0.31.4": "h1:…"}``, ``{"archive": "sha256:…"}`` or ``{"commit": "…"}``.
        trust: ``checksum-db``, ``index``, ``pins``, ``signed-release``, ``first-use`` or ``local``.
        time: RFC 3339 time of the version, where known.
        commit: where the provider knows it (git).
    """

    transports: Mapping[str, str]
    trust: str
    time: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a provider may use.

    Args:
        scratch: folder for temporary files; part downloads found in it are resumed.
        offline: nothing may use the network.
        env: the user's environment (proxies, GOPROXY, netrc).
        locked: transports from the lock, ``{}`` when not locked.
        progress: called as ``progress(what, done, total)``; total is 0 where not known.
        go: gives the ``go`` client, bootstrapping it when needed.
        log: file that external commands' output is appended to.
    """

    scratch: Path
    offline: bool
    env: Mapping[str, str]
    go: Callable[[], GoClient]
    log: Path
    locked: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = lambda _what, _done, _total: None


def check_lock(ctx: Context, request: Request, found: Mapping[str, str]) -> None:
    """Hold ``found`` transports against the lock.

    Raises:
        FetchError: reason ``digest-mismatch``, naming each that differs, expected and found.
    """
    if not ctx.locked:
        return
    names = sorted({*ctx.locked, *found})
    wrong = [name for name in names if ctx.locked.get(name) != found.get(name)]
    if wrong:
        raise mismatch(request, {name: (ctx.locked.get(name, ""), found.get(name, "")) for name in wrong})


def mismatch(
    request: Request,
    wrong: Mapping[str, tuple[str, str]],
    *,
    expected: str = "is locked",
    hint: str = "",
) -> FetchError:
    """Return the error for digests that are not what was expected: name to (expected, found)."""
    lines = [
        f"  {name}: expected {want or 'nothing'}, found {have or 'nothing'}" for name, (want, have) in wrong.items()
    ]
    return FetchError(
        "\n".join([f"{request.name} {request.version}: what was fetched differs from what {expected}", *lines]),
        reason="digest-mismatch",
        hint=hint or accept(request.name, request.version),
        details={name: {"expected": want, "found": have} for name, (want, have) in wrong.items()},
    )


def accept(name: str, version: str) -> str:
    """Return the hint that says how to lock a source as it is now."""
    return f"do not use it; where upstream really changed: k8sbuild lock --update={name}@{version}"


def normal_version(request: Request, *, partial: bool = True) -> str:
    """Return the asked version with its ``v``: exact, ``v1.31`` (if ``partial``) or ``latest``.

    Raises:
        ResolveError: reason ``malformed-version``.
    """
    text = request.version.strip()
    if text in LATEST and partial:
        return "latest"
    version = text if text.startswith("v") else f"v{text}"
    numbers = version[1:].split(".")
    prefix = partial and 1 <= len(numbers) <= 2 and all(n.isdecimal() and n.isascii() for n in numbers)
    if prefix or is_version(version):
        return version
    raise ResolveError(
        f"{request.name}: {request.version!r} is not a version",
        reason="malformed-version",
        hint="write it like v1.31.4, v1.31 (its newest patch) or latest",
    )


def unknown_version(request: Request, known: tuple[str, ...] = (), why: str = "") -> ResolveError:
    """Return the error for a version that the provider does not have; names the nearest known ones."""
    close = nearest(known, request.version)
    return ResolveError(
        f"{request.name}: no version {request.version} at {request.location}" + (f" ({why})" if why else ""),
        reason="unknown-version",
        hint=f"the nearest: {', '.join(close)}" if close else "`k8sbuild versions` lists what is known",
    )


def offline(request: Request) -> FetchError:
    """Return the error for a source that would need the network."""
    return FetchError(
        f"{request.name} {request.version}: not in the store, and offline",
        reason="offline",
        hint="run `k8sbuild fetch` once with the network",
    )
