"""Root file systems that tests and benchmarks run programs in, made by the toolkit from this machine's archives."""

from __future__ import annotations

import os
import shutil
from types import ModuleType
from typing import TYPE_CHECKING

from k8sbuild import api, hookimpl
from k8sbuild.build import host_platform
from k8sbuild.kinds import PluginInfo, RootFs, Source, Target
from k8sbuild.project import Request
from k8sbuild.providers import _apt
from k8sbuild.stages import rootfs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["lacking", "made", "suite", "system"]


def lacking() -> str:
    """Return why this machine can run no Docker daemon of a test's own; nothing where it can."""
    if os.geteuid() != 0:
        return "a Docker daemon needs root"
    missing = [name for name in ("mmdebstrap", "unshare", "pivot_root") if not shutil.which(name, path=rootfs.PATH)]
    if missing:
        return f"no {', '.join(missing)}"
    return "" if suite() else "apt has no archive here"


def suite() -> str:
    """Return the suite of this machine's first archive of packages; nothing where it has none."""
    known = [r for r in _apt.configured({}) if "main" in r.components and "-" not in r.suite]
    return known[0].suite if known else ""


def made(folder: Path, artifact: str, env: Mapping[str, str] | None = None, **hooks: Sequence[object]) -> Path:
    """Build what a plugin yields that lives in the process alone, and return its artifact.

    Args:
        folder: of the project.
        artifact: the address of the one file that is wanted; its plugin is named ``stand-in``.
        env: the user's environment, by default ours.
        hooks: what each yields, by short name.
    """
    folder.mkdir(exist_ok=True)
    target = Target(name="stand-in", help="", artifacts={"made.tar": artifact})
    module = ModuleType("stand-in")
    module.__file__ = str(folder / "stand_in.py")
    for name, given in {"plugin": PluginInfo(name="stand-in"), "targets": [target], **hooks}.items():
        setattr(module, f"k8sbuild_{name}", hookimpl(lambda given=given: given))
    flags = {"plugin": ["stand-in"], "target": "stand-in", "k8s": "v1.34.0"}
    api.build(Request(flags=flags, env=dict(env or os.environ), root=folder, extra=(("stand-in", module),)))
    return folder / "dist/artifacts/made.tar"


def system(folder: Path, packages: Sequence[str], env: Mapping[str, str] | None = None) -> Path:
    """Return the tar of a root file system with Debian packages."""
    return made(
        folder,
        "package:stand-in/root/root.tar",
        env,
        fetch=[Source.debian("debs", suite(), packages, host_platform().arch)],
        package=[RootFs(name="root", file="root.tar", packages="fetch:stand-in/debs")],
    )
