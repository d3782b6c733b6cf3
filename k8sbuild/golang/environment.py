"""The environment of the ``go`` client: hermetic, or with what of the user's counts for downloads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.providers.process import NETWORK, pick

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["download_settings", "hermetic", "with_network"]

#: Settings that say where modules come from and who vouches for them. The
#: user's count in resolve and fetch, from the environment or ``go env -w``.
DOWNLOAD = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GOINSECURE", "GOAUTH", "GOVCS")


def hermetic(modcache: Path) -> dict[str, str]:
    """Return the environment of a ``go`` that uses no network and nothing of the user's."""
    return {
        "GOENV": "off",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-modcacherw",
        "GOPROXY": "off",
        "GOSUMDB": "off",
        "GOMODCACHE": str(modcache),
        "GOPATH": str(modcache.parent / "gopath"),
        "GOCACHE": str(modcache.parent / "go-list-cache"),
        "GOTELEMETRY": "off",
        "LC_ALL": "C",
        "TZ": "UTC",
        "PATH": "/usr/bin:/bin",
    }


def with_network(modcache: Path, user: Mapping[str, str]) -> dict[str, str]:
    """Return :func:`hermetic` with the user's proxies, credentials and download settings let in.

    What the user did not set is left to the Go release's own defaults.
    """
    env = hermetic(modcache)
    del env["GOPROXY"], env["GOSUMDB"]
    # `direct` needs the user's git, hg, …
    path = {"PATH": user["PATH"]} if user.get("PATH") else {}
    return {**env, **path, **pick(user, NETWORK), **download_settings(user)}


def download_settings(user: Mapping[str, str]) -> dict[str, str]:
    """Return the user's settings of :data:`DOWNLOAD`: environment first, then ``go env -w``."""
    return {**pick(_env_file(user), DOWNLOAD), **{k: v for k, v in pick(user, DOWNLOAD).items() if v}}


def _env_file(user: Mapping[str, str]) -> dict[str, str]:
    path = _env_path(user)
    try:
        text = path.read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.strip().partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {name: value for name, equals, value in pairs if equals}


def _env_path(user: Mapping[str, str]) -> Path | None:
    named = user.get("GOENV", "")
    if named == "off":
        return None
    if named:
        return Path(named)
    if user.get("XDG_CONFIG_HOME"):
        return Path(user["XDG_CONFIG_HOME"], "go", "env")
    return Path(user["HOME"], ".config", "go", "env") if user.get("HOME") else None
