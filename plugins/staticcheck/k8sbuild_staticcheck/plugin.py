"""The target ``staticcheck``: the linter's program from its Go module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.kinds import GoBinary, GoModule, GoRequire, Option, PluginInfo, Source, Target
from k8sbuild.upstream import Upstream, target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

NAME = "staticcheck"
#: The default reads the Go releases of this repository's distributions.
TOOLS = Upstream(
    plugin=NAME,
    name="staticcheck",
    path="honnef.co/go/tools",
    version="v0.7.0",
    go="1.25.0",
    option="version",
    module="linter",
)


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name=NAME, targets=(NAME,))


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the target ``staticcheck``."""
    yield target(NAME, ["staticcheck"], help="the Go linter staticcheck as one static program", k8s="v1.31.4")


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare the version."""
    yield from TOOLS.options()


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch the linter's module."""
    yield TOOLS.source(build)


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire]:
    """Make the module that the linter is compiled from; it has no package of its own."""
    yield from TOOLS.code()


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the linter."""
    yield GoBinary(name="staticcheck", package=f"{TOOLS.path}/cmd/staticcheck")
