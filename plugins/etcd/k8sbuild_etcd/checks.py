"""Facts of the shipped program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.build import host_platform
from k8sbuild.errors import ValidateError
from k8sbuild.golang.binary import elf_machine, is_static

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

__all__ = ["version"]


def version(ctx: StepContext) -> list[str]:
    """Check that the program is linked statically and, where it runs here, what it says of itself."""
    path = ctx.path(ctx.params["binary"])
    if not is_static(path):
        raise ValidateError(f"{path.name} is linked dynamically", reason="static-check")
    if elf_machine(path) != host_platform().arch:
        return ["static"]
    said = ctx.exec([path, "--version"]).partition("\n")[0]
    if said != f"etcd Version: {ctx.params['version'].removeprefix('v')}":
        raise ValidateError(f"{path.name} says {said!r}, not {ctx.params['version']}", reason="static-check")
    return ["static", said]
