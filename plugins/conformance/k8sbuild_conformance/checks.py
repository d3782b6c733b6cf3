"""What must hold of the images: the names that upstream's tests look for, and what links promise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from k8sbuild.build import host_platform
from k8sbuild.errors import ValidateError
from k8sbuild.golang.binary import elf_machine

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

__all__ = ["applets", "names", "references"]

_REGISTRY = re.compile(r'^\t\t(\w+): +"([^"]+)",$', re.MULTILINE)
_IMAGE = re.compile(r'^\tconfigs\[\w+\] = Config\{list\.(\w+), "([^"]+)", "([^"]+)"\}$', re.MULTILINE)


def references(manifest: str) -> set[str]:
    """Return the images that ``manifest.go`` of upstream's tests names.

    >>> references('\\t\\tGcRegistry:   "r.example",\\n\\tconfigs[Pause] = Config{list.GcRegistry, "pause", "3.10"}\\n')
    {'r.example/pause:3.10'}
    """
    registries = dict(_REGISTRY.findall(manifest))
    return {f"{registries[registry]}/{name}:{version}" for registry, name, version in _IMAGE.findall(manifest)}


def names(ctx: StepContext) -> list[str]:
    """Check that the tests look for the images of ``params["references"]`` under these names.

    Raises:
        ValidateError: ``static-check``.
    """
    known = references(ctx.read(ctx.params["manifest"]).decode())
    for own in ctx.params["references"]:
        if own not in known:
            repository = own.rpartition(":")[0]
            wanted = sorted(name for name in known if name.rpartition(":")[0] == repository)
            raise ValidateError(
                f"the tests of this Kubernetes release do not run {own}, but {', '.join(wanted) or 'none of its name'}",
                reason="static-check",
                hint="the plugin conformance makes the images of v1.31.4",
            )
    return [f"{len(ctx.params['references'])} images"]


def applets(ctx: StepContext) -> list[str]:
    """Check, where busybox runs here, that it has what the links of its image are called.

    Raises:
        ValidateError: ``static-check``.
    """
    path = ctx.path(ctx.params["busybox"])
    if elf_machine(path) != host_platform().arch:
        return []
    found = set(ctx.exec([path, "--list"]).split())
    if missing := sorted(set(ctx.params["applets"]) - found):
        raise ValidateError(f"busybox lacks {', '.join(missing)}", reason="static-check")
    return [f"{len(found)} applets"]
