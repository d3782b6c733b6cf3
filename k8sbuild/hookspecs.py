"""The whole contract between the engine and its plugins.

Hooks are pure: they get the build and yield the frozen dataclasses of
:mod:`k8sbuild.kinds`. They run once per build (see ``k8sbuild_fetch``), in an order that follows from
``PluginInfo.before``/``after`` and then names, never from registration.

A plugin is a module (or object) behind an entry point of the group ``k8sbuild``::

    from k8sbuild import hookimpl
    from k8sbuild.kinds import PatchSeries, PluginInfo

    @hookimpl
    def k8sbuild_plugin():
        return PluginInfo(name="my-fixes", targets=("k8s",))

    @hookimpl
    def k8sbuild_patch(build):
        yield PatchSeries(name="fixes", source="kubernetes", root="patches/kubernetes")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .build import Build
    from .engine.events import Event
    from .kinds import (
        Archive,
        ArchiveFile,
        Artifact,
        Check,
        Edit,
        Finding,
        Generator,
        GoBinary,
        GoModule,
        GoReplace,
        GoRequire,
        ImageBundle,
        OciImage,
        Option,
        Overlay,
        PatchSeries,
        PluginInfo,
        Provider,
        RootFs,
        Source,
        Step,
        SystemdUnit,
        Target,
        Template,
    )

NAME = "k8sbuild"

_F = TypeVar("_F", bound="Callable[..., Any]")
_spec = cast("Callable[[_F], _F]", pluggy.HookspecMarker(NAME))
#: Marks a function of a plugin as the implementation of the hook of its name.
hookimpl = cast("Callable[[_F], _F]", pluggy.HookimplMarker(NAME))


@_spec
def k8sbuild_plugin() -> PluginInfo:
    """Say who the plugin is. Called once when it is loaded.

    Example: ``return PluginInfo(name="kine-integration", requires=("single-binary",))``.
    """
    raise NotImplementedError


@_spec
def k8sbuild_targets() -> Iterable[Target]:
    """Yield what the plugin can build.

    Example: ``yield Target(name="k8s", help="…", artifacts={"k8s": "compile:single-binary/k8s/k8s"})``.
    """
    raise NotImplementedError


@_spec
def k8sbuild_options() -> Iterable[Option]:
    """Yield the plugin's options. Called before versions are known, from all installed plugins.

    Example: ``yield Option(name="keep", help="groups to keep", type="list")``.
    """
    raise NotImplementedError


@_spec
def k8sbuild_providers() -> Iterable[Provider]:
    """Yield ways to fetch sources.

    Example: ``yield Provider(name="s3", kind="s3", resolve="my.s3:resolve", fetch="my.s3:fetch")``.
    """
    raise NotImplementedError


@_spec
def k8sbuild_fetch(build: Build) -> Iterable[Source | Step]:
    """Yield the sources of the build.

    Where somebody asks for a version that is not exact (``v1.31``, ``latest``), it is also called once before, with
    what was asked: where its source is says what versions there are.

    Example: ``yield Source(name="kine", version=build.option("kine"), locations={"gomod": "github.com/k3s-io/kine"})``.
    """
    raise NotImplementedError


@_spec
def k8sbuild_patch(build: Build) -> Iterable[PatchSeries | Edit | Step]:
    """Yield patches and edits, applied in this order, a plugin's series before its edits.

    Example: ``yield PatchSeries(name="fixes", source="kubernetes", root="patches/kubernetes")``.
    """
    raise NotImplementedError


@_spec
def k8sbuild_codegen(
    build: Build,
) -> Iterable[GoModule | Overlay | Template | SystemdUnit | Generator | GoRequire | GoReplace | Step]:
    """Yield what is generated: modules, overlays, templates, requirements.

    Example: ``yield Overlay(name="storage", root="overlay", labels={"register": "pkg/kine"})``.
    """
    raise NotImplementedError


@_spec
def k8sbuild_compile(build: Build) -> Iterable[GoBinary | Step]:
    """Yield the programs to compile.

    Example: ``yield GoBinary(name="k8s", package="./cmd/server")``.
    """
    raise NotImplementedError


@_spec
def k8sbuild_package(
    build: Build,
) -> Iterable[Archive | ArchiveFile | Artifact | OciImage | ImageBundle | RootFs | Step]:
    """Yield what is packaged, members of other plugins' archives, and further artifacts.

    Example: ``yield Archive(name="archive", file="k8s-{k8s}-{os}-{arch}.tar.zst", members=(…,))``.
    """
    raise NotImplementedError


@_spec
def k8sbuild_validate(build: Build) -> Iterable[Check | Step]:
    """Yield the checks that prove the artifacts.

    Example: ``yield Check(name="static", run="my.checks:static", inputs=("compile:single-binary/k8s/k8s",))``.
    """
    raise NotImplementedError


@_spec
def k8sbuild_doctor() -> Iterable[Finding]:
    """Yield findings about this machine, each with a fix.

    Example: ``yield Finding(name="zig", ok=False, message="no C compiler", fix="pip install ziglang")``.
    """
    raise NotImplementedError


@_spec
def k8sbuild_event(event: Event) -> None:
    """Observe a run. The result is ignored; an error is reported and does not stop the run.

    Example: send ``event`` to a chat when ``event.kind == "run-finished"``.
    """
