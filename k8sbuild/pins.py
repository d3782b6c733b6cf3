"""Pins: facts about upstream as data, from the library and from plugins."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, ResolveError
from .golang.semver import go_key

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Pins", "Release", "load"]

_OWN = Path(__file__).with_name("pins.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What is pinned of one release: commit and time (RFC 3339); each may be empty."""

    commit: str = ""
    time: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """Go releases, Go per Kubernetes minor, and releases by ``source@version``."""

    go_releases: tuple[str, ...] = ()
    go_of_minor: dict[str, str] = field(default_factory=dict)
    releases: dict[str, Release] = field(default_factory=dict)

    def release(self, source: str, version: str) -> Release:
        """Return what is pinned of a release; an unknown one has empty fields."""
        return self.releases.get(f"{source}@{version}", Release())

    def toolchain(self, k8s: str, needed: Iterable[str]) -> str:
        """Return the Go release to use: the minor's, raised to the lowest pinned one that satisfies ``needed``.

        Args:
            k8s: Kubernetes version; an unknown minor takes the lowest pinned release that is enough.
            needed: ``go`` lines, for example ``("1.22.0", "1.25.1")``.

        Raises:
            ResolveError: ``no-toolchain``.
        """
        minor = ".".join(k8s.removeprefix("v").split(".")[:2])
        wanted = max([*needed, self.go_of_minor.get(minor, "0")], key=go_key)
        for release in sorted({*self.go_releases, *self.go_of_minor.values()}, key=go_key):
            if go_key(release) >= go_key(wanted):
                return release
        raise ResolveError(
            f"no pinned Go release satisfies go {wanted}", reason="no-toolchain", hint="use --toolchain=PATH"
        )


def load(plugin_files: Iterable[Path] = ()) -> Pins:
    """Read the library's pins and those of plugins; later files add to earlier ones."""
    releases: dict[str, Release] = {}
    minors: dict[str, str] = {}
    go: list[str] = []
    for path in (_OWN, *plugin_files):
        table = _read(path)
        go += table.get("go", {}).get("releases", [])
        minors.update({minor: entry["go"] for minor, entry in table.get("kubernetes", {}).items()})
        releases.update(_releases(path, table))
    return Pins(go_releases=tuple(go), go_of_minor=minors, releases=releases)


def _releases(path: Path, table: dict[str, Any]) -> dict[str, Release]:
    try:
        return {key: Release(**entry) for key, entry in table.get("releases", {}).items()}
    except TypeError as error:
        raise ConfigError(f"pins {path}: {error}", reason="bad-pins") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"pins {path}: {error}", reason="bad-pins") from error
