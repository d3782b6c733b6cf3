"""The plugin with scripts in the place of what is compiled, so that whole builds of it take no time.

Everything else is the plugin's own: base, configurations, units, layers, image, folder and checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8sbuild_cri_dockerd_image import plugin

from k8sbuild import hookimpl
from k8sbuild.kinds import Check, GoBinary, Source, Step, SystemdUnit, Template

#: Of code, which is not fetched here.
_CODE = ("kubernetes", "cri-dockerd", "cri-tools")
_CHECKS = ("programs", "linked-modules", "linked-functions", "dependencies")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build
    from k8sbuild.engine.context import StepContext

k8sbuild_plugin = plugin.k8sbuild_plugin
k8sbuild_targets = plugin.k8sbuild_targets
k8sbuild_options = plugin.k8sbuild_options

#: Lays one file after the other, as the tool lays one over the other; a pod needs no image.
_TOOL = '#!/bin/sh\n[ "$1" != merge ] || { shift; exec cat "$@"; }\n'


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Any]:
    """Fetch the base and the user's files, and no code."""
    for item in plugin.k8sbuild_fetch(build):
        if isinstance(item, Source) and item.name not in _CODE:
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
        yield _written("compile", item.name, text)


@hookimpl
def k8sbuild_package(build: Build) -> Iterator[Any]:
    """Package as the plugin does; no source is there to be changed."""
    for item in plugin.k8sbuild_package(build):
        yield _written("package", item.name, "a patch\n") if item.name == "cri-dockerd.patch" else item


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Any]:
    """Check what needs no program."""
    for item in plugin.k8sbuild_validate(build):
        if isinstance(item, Check) and item.name not in _CHECKS:
            yield item


def _written(stage: Any, name: str, text: str) -> Step:
    """Return a step that writes a file with its own name."""
    return Step(name=name, stage=stage, run=f"{__name__}:script", outputs=(name,), params={name: text})


def script(ctx: StepContext) -> None:
    """Write a script."""
    for name, text in ctx.params.items():
        (ctx.out / name).write_text(text)
        (ctx.out / name).chmod(0o755)
