"""Plugins that live in the test's process, and requests that use only them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from k8sbuild import hookimpl
from k8sbuild.kinds import PluginInfo
from k8sbuild.project import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Named = tuple[str, ModuleType]
#: Functions that steps of the tests run, importable by name.
SITE = Path(__file__).parent / "engine" / "site"

# How much property tests try; disks and loaded machines have bad moments, so none has a deadline.
settings.register_profile("small", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("large", settings.get_profile("small"), max_examples=1000)
settings.load_profile("small")  # --hypothesis-profile=large comes later and wins


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., Named]:
    """Return a function that makes a plugin: hooks by short name, each a function or what it yields."""

    def make(name: str = "toy", **hooks: Any) -> Named:
        module = ModuleType(name)
        module.__file__ = str(tmp_path / name / "plugin.py")
        (tmp_path / name).mkdir(exist_ok=True)
        hooks.setdefault("plugin", PluginInfo(name=name))
        for hook, given in hooks.items():
            function = given if callable(given) else lambda given=given: given
            setattr(module, f"k8sbuild_{hook}", hookimpl(function))
        return name, module

    return make


@pytest.fixture
def request_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Request]:
    """Return a function that makes a request: the given plugins alone, a project and a cache of its own."""
    monkeypatch.syspath_prepend(str(SITE))

    def make(*plugins: Named, root: Path | None = None, env: dict[str, str] | None = None, **flags: Any) -> Request:
        folder = root or tmp_path / "project"
        folder.mkdir(exist_ok=True)
        given = {"plugin": [name for name, _ in plugins], "target": "toy", "k8s": "v1.31.4", "jobs": 2}
        return Request(
            flags={**given, **{name.replace("_", "-"): value for name, value in flags.items()}},
            env={"K8SBUILD_CACHE_DIR": str(tmp_path / "cache"), **(env or {})},
            root=folder,
            extra=plugins,
        )

    return make


@dataclass(frozen=True, slots=True)
class Disk:
    """A small disk of its own."""

    folder: Path

    def remount(self, options: str) -> None:
        """Change the disk: ``size=256k``, ``ro``, ``rw``."""
        subprocess.run(["mount", "-o", f"remount,{options}", self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mount a tmpfs of 256 KiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small tmpfs needs root: full and read-only disks are NOT tested here")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=False).returncode:
        pytest.skip("mount is not permitted here: full and read-only disks are NOT tested")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)


def pytest_configure() -> None:
    """Take SIGINT back: a shell starts its background jobs with it ignored, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
