"""What a build is: the object that hooks get."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .errors import ConfigError, PlanError, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .options import Value

__all__ = ["Build", "Platform", "fill", "host_platform", "matches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Where the result runs."""

    os: str = "linux"
    arch: str = "amd64"

    def __str__(self) -> str:
        return f"{self.os}-{self.arch}"


def host_platform() -> Platform:
    """Return the platform of this machine, in Go's names."""
    machine = os.uname().machine.lower()
    return Platform(arch={"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine))


def matches(version: str, specifier: str) -> bool:
    """Say whether a version (with or without ``v``) is in a PEP 440 specifier.

    >>> matches("v1.31.4", ">=1.31,<1.32")
    True
    """
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        return Version(version.removeprefix("v")) in SpecifierSet(specifier, prereleases=True)
    except InvalidVersion:
        return False


def fill(text: str, values: Mapping[str, str], who: str) -> str:
    """Return a text of a plugin with its placeholders filled in.

    Args:
        who: named in the error.

    Raises:
        PlanError: ``unknown-placeholder``.

    >>> fill("k8s-{arch}", {"arch": "amd64"}, "Archive tar")
    'k8s-amd64'
    """
    try:
        return text.format_map(values)
    except (KeyError, ValueError, IndexError) as error:
        known = ", ".join(f"{{{name}}}" for name in values)
        raise PlanError(
            f"{who}: {text!r} has a placeholder that is none of {known}", reason="unknown-placeholder"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One target × Kubernetes version × platform × plugins × options, with exact versions.

    ``plugin`` is the one whose hook is running; :meth:`option` reads its options
    by bare name and those of others by ``plugin.name``.
    """

    target: str
    k8s: str
    platform: Platform
    plugins: tuple[str, ...]
    options: Mapping[str, Value] = field(default_factory=dict)
    plugin: str = ""

    def option(self, name: str) -> Value:
        """Return an option's value.

        Raises:
            ConfigError: ``unknown-option``.
        """
        key = name if "." in name else f"{self.plugin}.{name}"
        if key not in self.options:
            raise ConfigError(
                f"plugin {self.plugin} reads the option {key!r}, which nobody declares{suggest(key, self.options)}",
                reason="unknown-option",
            )
        return self.options[key]

    def has(self, plugin: str) -> bool:
        """Say whether a plugin takes part."""
        return plugin in self.plugins

    def enabled(self, option: str) -> bool:
        """Say whether an option, ``plugin.name``, is on; one of a plugin that takes no part is not."""
        return self.has(option.partition(".")[0]) and bool(self.option(option))

    def k8s_in(self, specifier: str) -> bool:
        """Say whether the Kubernetes version is in a specifier such as ``">=1.31,<1.32"``."""
        return matches(self.k8s, specifier)

    def of(self, plugin: str) -> Build:
        """Return the view that a plugin's hooks get."""
        return replace(self, plugin=plugin)

    def placeholders(self) -> dict[str, str]:
        """Return what ``{k8s}``, ``{os}``, ``{arch}``, ``{suffix}``, ``{target}`` stand for."""
        return {
            "k8s": self.k8s,
            "os": self.platform.os,
            "arch": self.platform.arch,
            "suffix": "" if self.platform == host_platform() else f"-{self.platform}",
            "target": self.target,
        }
