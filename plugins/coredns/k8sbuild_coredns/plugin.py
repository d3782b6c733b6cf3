"""The target ``coredns``: CoreDNS as one static program; in a node's bundle, its image and what deploys it."""

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

NAME = "coredns"
#: The default is the release that Kubernetes v1.31 itself is installed with. The go line is the one of newer
#: distributions: one toolchain for both.
COREDNS = Upstream(
    plugin=NAME,
    name="coredns",
    path="github.com/coredns/coredns",
    version="v1.11.3",
    go="1.25.0",
    option="version",
    env=("COREDNS_VERSION",),
    module="program",
)
BINARY = address(NAME, "coredns")
#: For a node's bundle.
IMAGE = Shipped(
    upstream=COREDNS,
    programs=("coredns",),
    repository="registry.k8s.io/coredns/coredns",
    file="coredns-{arch}.oci.tar",
    options=("containerd-runtime.bundle",),
)
#: The same as BINARY, for the target ``k8s``.
PROGRAM = IMAGE.program("coredns")


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name=NAME, after=("containerd-runtime",), targets=(NAME, "k8s"))


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the target ``coredns``."""
    told = "CoreDNS as one static program, with the plugins that a cluster needs"
    yield target(NAME, ["coredns"], help=told, k8s="v1.31.4")


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare the version."""
    yield from COREDNS.options()


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch the module; for ``k8s``, take the program."""
    if build.target == NAME:
        yield COREDNS.source(build)
    elif IMAGE.wanted(build):
        yield IMAGE.taken()


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire | Overlay | Generator]:
    """Make the program's module, whose one package lists the plugins; to ``k8s``, add what deploys the image."""
    if build.target == NAME:
        yield from COREDNS.code()
        yield Overlay(name="program", root="program")
    elif IMAGE.wanted(build):
        yield Overlay(name="addon", root="node", labels={"register": "pkg/coredns"})
        yield IMAGE.constant(build, "pkg/coredns/zz_generated_image.go")


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the program."""
    if build.target == NAME:
        yield GoBinary(name="coredns", package=".")


@hookimpl
def k8sbuild_package(build: Build) -> Iterator[OciImage]:
    """Make the image of the node's bundle."""
    if IMAGE.wanted(build):
        yield IMAGE.image(build)


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Check that the program is static, its version, and its plugins."""
    if build.target == NAME:
        yield checked(build, {BINARY: COREDNS.chosen(build)}, ["-version"])
        yield Check(name="plugins", run="k8sbuild_coredns.checks:plugins", inputs=(BINARY,), params={"binary": BINARY})
