"""Facts of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.build import host_platform
from k8sbuild.errors import ValidateError
from k8sbuild.golang.binary import elf_machine

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

__all__ = ["plugins"]

#: What the Corefile of a cluster uses.
NEEDED = (
    "bind",
    "cache",
    "errors",
    "forward",
    "health",
    "kubernetes",
    "loadbalance",
    "loop",
    "prometheus",
    "ready",
    "reload",
)


def plugins(ctx: StepContext) -> list[str]:
    """Check, where the program runs here, that the plugins are in it which a cluster needs."""
    path = ctx.path(ctx.params["binary"])
    if elf_machine(path) != host_platform().arch:
        return []
    found = {word.removeprefix("dns.") for word in ctx.exec([path, "-plugins"]).split() if word.startswith("dns.")}
    missing = sorted(set(NEEDED) - found)
    if missing:
        raise ValidateError(f"{path.name} lacks the plugins {', '.join(missing)}", reason="static-check")
    return [f"{len(found)} plugins"]
