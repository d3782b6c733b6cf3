"""The library's own providers."""

from __future__ import annotations

from k8sbuild.kinds import Provider

__all__ = ["BUILTIN"]

BUILTIN = tuple(
    Provider(
        name=kind,
        kind=kind,
        resolve=f"k8sbuild.providers.{kind}:resolve",
        fetch=f"k8sbuild.providers.{kind}:fetch",
    )
    for kind in ("gomod", "archive", "git", "path", "pypi", "oci", "deb")
)
