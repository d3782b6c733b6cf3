"""The target ``staticcheck``: the linter's program from its Go module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.kinds import GoBinary, GoModule, GoRequire, Option, PluginInfo, Source, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

MODULE = "honnef.co/go/tools"
BINARY = "compile:staticcheck/staticcheck/staticcheck"


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name="staticcheck", targets=("staticcheck",))


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the target ``staticcheck``."""
    yield Target(
        name="staticcheck",
        help="the Go linter staticcheck as one static program",
        artifacts={"staticcheck{suffix}": BINARY},
        defaults={"k8s": "v1.31.4"},
    )


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare the version; the default reads the Go releases of this repository's distributions."""
    yield Option(name="version", help="staticcheck version", type="version", default="v0.7.0", source="staticcheck")


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch the linter's module; the others come with the build list."""
    yield Source(name="staticcheck", version=str(build.option("version")), locations={"gomod": MODULE})


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire]:
    """Make the module that the linter is compiled from; it has no package of its own."""
    yield GoModule(name="linter", path="k8sbuild.dev/staticcheck", go="1.25.0")
    yield GoRequire(name="staticcheck", path=MODULE, source="staticcheck")


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the linter."""
    yield GoBinary(name="staticcheck", package=f"{MODULE}/cmd/staticcheck")
