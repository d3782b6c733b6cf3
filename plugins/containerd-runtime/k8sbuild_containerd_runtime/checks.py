"""Facts of runc."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from k8sbuild.build import host_platform
from k8sbuild.errors import ValidateError
from k8sbuild.golang.binary import elf_machine

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

__all__ = ["seccomp"]


def seccomp(ctx: StepContext) -> list[str]:
    """Check that runc says that it makes seccomp filters: without them it would run each container unconfined."""
    path = ctx.path(ctx.params["runc"])
    if elf_machine(path) != host_platform().arch:
        return []
    said = json.loads(ctx.exec([path, "features"]))["linux"]["seccomp"]
    if not said.get("enabled"):
        raise ValidateError("runc is built without seccomp", reason="static-check")
    return [f"{len(said['actions'])} actions, {len(said['operators'])} operators"]
