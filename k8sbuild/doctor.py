"""Findings about this machine and the plugins."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from .config import cache_folder
from .engine.pool import available_memory
from .errors import PluginError
from .kinds import Finding
from .project import setup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .project import Request, Setup

__all__ = ["doctor"]

_DISK = 8 << 30
_MEMORY = 3000


def doctor(request: Request) -> list[Finding]:
    """Look at this machine and the plugins; each finding has a fix."""
    base = setup(request, strict=False)
    return [*_machine(cache_folder(request.env)), *_plugins(base), *_of_plugins(base)]


def _machine(cache: Path) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(name="python", ok=sys.version_info >= (3, 11), message=version, fix="install Python 3.11 or newer")
    free = shutil.disk_usage(_existing(cache)).free
    yield Finding(
        name="disk",
        ok=free > _DISK,
        message=f"{free >> 30} GiB free for {cache}",
        fix="free 8 GiB, or set K8SBUILD_CACHE_DIR to another disk; `k8sbuild gc` makes room",
    )
    memory = available_memory()
    yield Finding(
        name="memory",
        ok=memory > _MEMORY,
        message=f"{memory} MiB available",
        fix="linking Kubernetes takes about 3 GiB; close something or add swap",
    )
    yield Finding(
        name="git",
        ok=shutil.which("git") is not None,
        message="found" if shutil.which("git") else "not found",
        fix="needed for the git provider and for `direct` modules: apt-get install git",
    )


def _plugins(base: Setup) -> Iterator[Finding]:
    for plugin in base.plugins:
        yield Finding(name=f"plugin {plugin.name}", ok=True, message=f"{plugin.distribution} {plugin.version}")
    for broken in base.plugins.broken:
        yield Finding(name=f"plugin {broken.name}", ok=False, message=broken.error.message, fix=broken.error.hint)


def _of_plugins(base: Setup) -> Iterator[Finding]:
    """Yield what the plugins find themselves."""
    for plugin in base.plugins:
        try:
            yield from base.plugins.yielded(plugin, "k8sbuild_doctor", Finding)
        except PluginError as error:
            yield Finding(name=f"plugin {plugin.name}", ok=False, message=error.message, fix=error.hint)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
