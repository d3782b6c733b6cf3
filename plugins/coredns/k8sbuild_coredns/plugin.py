"""The target ``coredns``: CoreDNS as one static program; in a node's bundle, its image and what deploys it."""

from __future__ import annotations

from dataclasses import replace
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
from k8sbuild.upstream import Upstream, address, checked, target

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
#: The same, for the target ``k8s``.
PROGRAM = "fetch:coredns/program/coredns"
#: What manifests and mirrors call it.
IMAGE = "registry.k8s.io/coredns/coredns"
#: What makes a node's bundle, which the image is for.
BUNDLE = "containerd-runtime.bundle"


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
    elif build.enabled(BUNDLE):
        # Under a name of its own: the module has that of the target.
        yield replace(Source.target(NAME), name="program")


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire | Overlay | Generator]:
    """Make the program's module, whose one package lists the plugins; to ``k8s``, add what deploys the image."""
    if build.target == NAME:
        yield from COREDNS.code()
        yield Overlay(name="program", root="program")
    elif build.enabled(BUNDLE):
        yield Overlay(name="addon", root="node", labels={"register": "pkg/coredns"})
        yield Generator(
            name="image",
            run="k8sbuild.stages.constants:generate",
            params={"file": "pkg/coredns/zz_generated_image.go", "constants": {"image": _reference(build)}},
        )


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the program."""
    if build.target == NAME:
        yield GoBinary(name="coredns", package=".")


@hookimpl
def k8sbuild_package(build: Build) -> Iterator[OciImage]:
    """Make the image of the node's bundle."""
    if build.target != NAME and build.enabled(BUNDLE):
        yield OciImage.of_programs(
            "image",
            file="coredns-{arch}.oci.tar",
            reference=_reference(build),
            programs={"coredns": PROGRAM},
            user="65532:65532",
            licences=(PROGRAM,),
        )


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Check that the program is static, its version, and its plugins."""
    if build.target == NAME:
        yield checked(build, {BINARY: COREDNS.chosen(build)}, ["-version"])
        yield Check(name="plugins", run="k8sbuild_coredns.checks:plugins", inputs=(BINARY,), params={"binary": BINARY})


def _reference(build: Build) -> str:
    return f"{IMAGE}:{COREDNS.chosen(build)}"
