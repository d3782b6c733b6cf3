"""Facts of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.build import host_platform
from k8sbuild.errors import ValidateError
from k8sbuild.golang.binary import elf_machine, is_static

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

__all__ = ["program"]

#: What the Corefile of a cluster uses.
NEEDED = ("cache", "errors", "forward", "health", "kubernetes", "loadbalance", "loop", "prometheus", "ready", "reload")


def program(ctx: StepContext) -> list[str]:
    """Check that the program is linked statically and, where it runs here, its version and its plugins."""
    path = ctx.path(ctx.params["binary"])
    if not is_static(path):
        raise ValidateError(f"{path.name} is linked dynamically", reason="static-check")
    if elf_machine(path) != host_platform().arch:
        return ["static"]
    said = ctx.exec([path, "-version"]).partition("\n")[0]
    if said != f"CoreDNS-{ctx.params['version'].removeprefix('v')}":
        raise ValidateError(f"{path.name} says {said!r}, not {ctx.params['version']}", reason="static-check")
    plugins = {word.removeprefix("dns.") for word in ctx.exec([path, "-plugins"]).split() if word.startswith("dns.")}
    missing = sorted(set(NEEDED) - plugins)
    if missing:
        raise ValidateError(f"{path.name} lacks the plugins {', '.join(missing)}", reason="static-check")
    return ["static", said, f"{len(plugins)} plugins"]
