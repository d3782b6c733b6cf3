"""The plugin with scripts in the place of what is compiled, so that whole builds of it take no time.

Everything else is the plugin's own: base, configurations, units, layers, image, folder and checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8sbuild_cri_dockerd_image import plugin

from k8sbuild import hookimpl
from k8sbuild.kinds import Check, GoBinary, Source, Step, SystemdUnit, Template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build
    from k8sbuild.engine.context import StepContext

k8sbuild_plugin = plugin.k8sbuild_plugin
k8sbuild_targets = plugin.k8sbuild_targets
k8sbuild_options = plugin.k8sbuild_options
k8sbuild_package = plugin.k8sbuild_package

#: Lays one file after the other, as the tool lays one over the other; a pod needs no image.
_TOOL = '#!/bin/sh\n[ "$1" != merge ] || { shift; exec cat "$@"; }\n'


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Any]:
    """Fetch the base and the user's files, and no code."""
    for item in plugin.k8sbuild_fetch(build):
        if isinstance(item, Source) and item.name not in ("kubernetes", "cri-dockerd"):
            yield item


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[Any]:
    """Make the texts."""
    for item in plugin.k8sbuild_codegen(build):
        if isinstance(item, SystemdUnit | Template):
            yield item


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[Any]:
    """Write a script for each program."""
    for item in plugin.k8sbuild_compile(build):
        assert isinstance(item, GoBinary)
        text = _TOOL if item.name == "kubelet-config" else f"#!/bin/sh\n# {item.name}\n"
        run = f"{__name__}:script"
        yield Step(name=item.name, stage="compile", run=run, outputs=(item.name,), params={item.name: text})


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Any]:
    """Check what needs no program."""
    for item in plugin.k8sbuild_validate(build):
        if isinstance(item, Check) and item.name != "programs":
            yield item


def script(ctx: StepContext) -> None:
    """Write a script."""
    for name, text in ctx.params.items():
        (ctx.out / name).write_text(text)
        (ctx.out / name).chmod(0o755)
