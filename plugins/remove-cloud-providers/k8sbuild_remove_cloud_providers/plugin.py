"""The plugin's hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from k8sbuild.hookspecs import hookimpl
from k8sbuild.kinds import Check, Edit, Option, PatchSeries, PluginInfo
from k8sbuild.upstream import unlinked

from .groups import GROUPS, denied, edits, patches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

_BINARY = "compile:single-binary/k8s/k8s"
_MODULE = "single-binary/distribution"
_HINT = "keep their group (--set remove-cloud-providers.keep=…), or see who imports them with `k8sbuild deps`"


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who the plugin is."""
    return PluginInfo(name="remove-cloud-providers", targets=("k8s",), requires=("single-binary",))


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Yield ``keep``."""
    groups = ", ".join(group.name for group in GROUPS)
    yield Option(name="keep", help=f"groups that stay linked ({groups})", type="list", default=())


@hookimpl
def k8sbuild_patch(build: Build) -> Iterator[PatchSeries | Edit]:
    """Yield what unlinks the groups that are not kept."""
    keep = _keep(build)
    if names := patches(keep):
        yield PatchSeries(name="unlink", source="kubernetes", root="patches/kubernetes", only=names)
    yield from edits(keep)


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Yield the three proofs."""
    deny = denied(_keep(build))
    yield from unlinked(_BINARY, module=_MODULE, packages=deny.packages, modules=deny.modules, hint=_HINT)


def _keep(build: Build) -> tuple[str, ...]:
    return cast("tuple[str, ...]", build.option("keep"))
