"""The target ``metrics-server``: its program; with ``--metrics-server``, its image in a node's bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.kinds import (
    Check,
    Generator,
    GoBinary,
    GoModule,
    GoRequire,
    OciImage,
    Option,
    Overlay,
    PluginInfo,
    Source,
    Target,
)
from k8sbuild.upstream import Shipped, Upstream, address, checked, target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

NAME = "metrics-server"
#: The go line is the one of newer distributions: one toolchain for all.
SERVER = Upstream(
    plugin=NAME,
    name="metrics-server",
    path="sigs.k8s.io/metrics-server",
    version="v0.8.0",
    go="1.25.0",
    option="version",
    module="program",
)
BINARY = address(NAME, "metrics-server")
#: For a node's bundle, where it is wanted there.
IMAGE = Shipped(
    upstream=SERVER,
    programs=("metrics-server",),
    repository="registry.k8s.io/metrics-server/metrics-server",
    file="metrics-server-{arch}.oci.tar",
    options=("containerd-runtime.bundle", f"{NAME}.bundle"),
)
VERSION = "k8s.io/client-go/pkg/version.gitVersion"


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name=NAME, after=("containerd-runtime",), targets=(NAME, "k8s"))


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the target ``metrics-server``."""
    yield target(NAME, ["metrics-server"], help="metrics-server as one static program", k8s="v1.31.4")


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare the version, and whether a node's bundle has it."""
    yield from SERVER.options()
    yield Option(
        name="bundle",
        help="ship metrics-server with a node (--node), for kubectl top and autoscaling",
        type="bool",
        default=False,
        flag="--metrics-server",
    )


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch the module; for ``k8s``, take the program."""
    if build.target == NAME:
        yield SERVER.source(build)
    elif IMAGE.wanted(build):
        yield IMAGE.taken()


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire | Overlay | Generator]:
    """Make the module that the program is compiled in; to ``k8s``, add what deploys the image."""
    if build.target == NAME:
        yield from SERVER.code()
    elif IMAGE.wanted(build):
        yield Overlay(name="addon", root="node", labels={"register": "pkg/metricsserver"})
        yield IMAGE.constant(build, "pkg/metricsserver/zz_generated_image.go")


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the program."""
    if build.target == NAME:
        yield GoBinary(
            name="metrics-server",
            package=f"{SERVER.path}/cmd/metrics-server",
            ldflags={VERSION: SERVER.chosen(build)},
        )


@hookimpl
def k8sbuild_package(build: Build) -> Iterator[OciImage]:
    """Make the image of the node's bundle."""
    if IMAGE.wanted(build):
        yield IMAGE.image(build)


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Check that the program is static, and its version."""
    if build.target == NAME:
        yield checked(build, {BINARY: SERVER.chosen(build)}, ["--version"])
