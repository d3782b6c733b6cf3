"""Versions as Go's module system orders them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["compare_key", "go_key", "is_prerelease", "is_version", "nearest", "newest", "staging_version"]

_VERSION = re.compile(
    r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?"
)

Key = tuple[int, int, int, int, tuple[tuple[int, int, str], ...]]


def is_version(text: str) -> bool:
    """Tell whether ``text`` is a full version, ``vMAJOR.MINOR.PATCH`` with optional suffixes.

    >>> is_version("v1.31.4"), is_version("v1.31")
    (True, False)
    """
    return _VERSION.fullmatch(text) is not None


def is_prerelease(version: str) -> bool:
    """Tell whether ``version`` is a pre-release or pseudo-version."""
    match = _VERSION.fullmatch(version)
    return bool(match and match[4])


def compare_key(version: str) -> Key:
    """Return a sort key (https://semver.org, section 11); what is no version sorts first.

    >>> sorted(["v1.10.0", "v1.9.0", "v1.10.0-rc.1"], key=compare_key)
    ['v1.9.0', 'v1.10.0-rc.1', 'v1.10.0']
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        return (-1, 0, 0, 0, ())
    pre = match[4]
    return (int(match[1]), int(match[2]), int(match[3]), 0 if pre else 1, _pre_key(pre or ""))


def _pre_key(pre: str) -> tuple[tuple[int, int, str], ...]:
    parts = pre.split(".") if pre else []
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)


def newest(versions: Iterable[str], prefix: str = "") -> str:
    """Return the newest release that ``prefix`` (``v1.31``) allows, else ``""``.

    A pre-release is taken only where there is no release.

    >>> newest(["v1.31.4", "v1.31.10", "v1.32.0-rc.1"], "v1.31"), newest(["v1.32.0-rc.1"])
    ('v1.31.10', 'v1.32.0-rc.1')
    """
    known = [v for v in versions if is_version(v) and (not prefix or v.startswith(prefix + "."))]
    releases = [v for v in known if not is_prerelease(v)]
    return max(releases or known, key=compare_key, default="")


def nearest(versions: Iterable[str], wanted: str) -> list[str]:
    """Return the three releases whose numbers are nearest to those of ``wanted``, which may be partial, nearest first.

    >>> nearest(["v1.30.9", "v1.31.0", "v1.31.4", "v1.31.14", "v1.32.1-rc.0"], "v1.31.99")
    ['v1.31.14', 'v1.31.4', 'v1.31.0']
    """
    numbers = [int(number) for number in re.findall(r"\d+", wanted)]
    known = [v for v in versions if is_version(v) and not is_prerelease(v)]
    return sorted(known, key=lambda v: [abs(a - b) for a, b in zip(compare_key(v)[:3], numbers, strict=False)])[:3]


def go_key(version: str) -> tuple[int, int, int, str, int]:
    """Return a sort key for Go releases and ``go`` lines, as Go itself orders them; what is neither sorts first.

    Since Go 1.21 a release without a third number is the language, which is there before its candidates.
    Source: https://go.dev/doc/toolchain#version

    >>> sorted(["1.22.3", "1.9", "1.22rc1", "1.22.0", "1.22", "1.20", "1.20rc1"], key=go_key)
    ['1.9', '1.20rc1', '1.20', '1.22', '1.22rc1', '1.22.0', '1.22.3']
    """
    match = re.fullmatch(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:(rc|beta|alpha)(\d+))?.*", version)
    if match is None:
        return (-1, 0, 0, "", 0)
    major, minor, patch, kind, number = match.groups()
    old = (int(major), int(minor or 0)) < (1, 21)
    third = int(patch) if patch else 0 if old and not kind else -1
    return (int(major), int(minor or 0), third, kind or "", int(number or 0))


def staging_version(version: str) -> str:
    """Return the version under which Kubernetes publishes its staging modules.

    >>> staging_version("v1.31.4"), staging_version("v1.32.0-rc.1")
    ('v0.31.4', 'v0.32.0-rc.1')
    """
    return re.sub(r"^v\d+\.", "v0.", version)
