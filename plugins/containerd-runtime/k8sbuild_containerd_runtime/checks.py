"""Facts of the programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from k8sbuild.build import host_platform
from k8sbuild.errors import ValidateError
from k8sbuild.golang.binary import elf_machine, is_static

if TYPE_CHECKING:
    from pathlib import Path

    from k8sbuild.engine.context import StepContext

__all__ = ["programs", "seccomp"]


def programs(ctx: StepContext) -> list[str]:
    """Check that programs are linked statically, for the platform, and say their version where they run here."""
    facts = []
    for address, version in ctx.params["programs"].items():
        path = ctx.path(address)
        problem = _problem(ctx, path, version)
        if problem:
            raise ValidateError(f"{path.name} {problem}", reason="static-check")
        facts.append(f"{path.name} {path.stat().st_size / 2**20:.1f} MiB")
    return facts


def _problem(ctx: StepContext, path: Path, version: str) -> str:
    if not is_static(path):
        return "is linked dynamically"
    if elf_machine(path) != ctx.params["arch"]:
        return f"is for {elf_machine(path)}, not {ctx.params['arch']}"
    if ctx.params["arch"] != host_platform().arch:
        return ""
    # CNI plugins know one word, which they take from the environment.
    said = ctx.exec([path, "-v"], env={"CNI_COMMAND": ""}, check=False)
    return "" if version.removeprefix("v") in said else f"says {said[:200]!r}, not {version}"


def seccomp(ctx: StepContext) -> list[str]:
    """Check that runc says that it makes seccomp filters: without them it would run each container unconfined."""
    path = ctx.path(ctx.params["runc"])
    if elf_machine(path) != host_platform().arch:
        return []
    said = json.loads(ctx.exec([path, "features"]))["linux"]["seccomp"]
    if not said.get("enabled"):
        raise ValidateError("runc is built without seccomp", reason="static-check")
    return [f"{len(said['actions'])} actions, {len(said['operators'])} operators"]
