"""The target ``local-path-storage``: its programs; with ``--local-path-storage``, their image in a node's bundle."""

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

NAME = "local-path-storage"
#: The go line is the one of newer distributions: one toolchain for all.
PROVISIONER = Upstream(
    plugin=NAME,
    name="local-path-provisioner",
    path="github.com/rancher/local-path-provisioner",
    version="v0.0.30",
    go="1.25.0",
    option="version",
    module="program",
)
#: The provisioner, and the program of the pods that make and remove folders on a node: upstream's is a shell's script.
PROGRAMS = ("local-path-provisioner", "local-path-helper")
#: For a node's bundle, where it is wanted there.
IMAGE = Shipped(
    upstream=PROVISIONER,
    programs=PROGRAMS,
    repository="docker.io/rancher/local-path-provisioner",
    file="local-path-{arch}.oci.tar",
    options=("containerd-runtime.bundle", f"{NAME}.bundle"),
    source="programs",
)


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name=NAME, after=("containerd-runtime",), targets=(NAME, "k8s"))


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the target ``local-path-storage``."""
    yield target(NAME, PROGRAMS, help="local-path-provisioner and its helper as static programs", k8s="v1.31.4")


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare the version, and whether a node's bundle has it."""
    yield from PROVISIONER.options()
    yield Option(
        name="bundle",
        help="ship local-path-provisioner with a node (--node): volumes on the nodes' own disks",
        type="bool",
        default=False,
        flag="--local-path-storage",
    )


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch the module; for ``k8s``, take the programs."""
    if build.target == NAME:
        yield PROVISIONER.source(build)
    elif IMAGE.wanted(build):
        yield IMAGE.taken()


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire | Overlay | Generator]:
    """Make the module of the programs, with the helper; to ``k8s``, add what deploys the image."""
    if build.target == NAME:
        yield from PROVISIONER.code()
        yield Overlay(name="helper", root="program")
    elif IMAGE.wanted(build):
        yield Overlay(name="addon", root="node", labels={"register": "pkg/localpath"})
        yield IMAGE.constant(build, "pkg/localpath/zz_generated_image.go")


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the programs."""
    if build.target == NAME:
        yield GoBinary(
            name="local-path-provisioner",
            package=PROVISIONER.path,
            ldflags={"main.VERSION": PROVISIONER.chosen(build)},
        )
        yield GoBinary(name="local-path-helper", package="./helper")


@hookimpl
def k8sbuild_package(build: Build) -> Iterator[OciImage]:
    """Make the image of the node's bundle."""
    if IMAGE.wanted(build):
        yield IMAGE.image(build)


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Check that the provisioner is static, and its version."""
    if build.target == NAME:
        yield checked(build, {address(NAME, PROGRAMS[0]): PROVISIONER.chosen(build)}, ["--version"])
