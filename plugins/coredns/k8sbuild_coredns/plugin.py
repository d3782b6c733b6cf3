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
    ImageFile,
    ImageLayer,
    OciImage,
    Option,
    Overlay,
    PluginInfo,
    Source,
    Target,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

NAME = "coredns"
MODULE = "github.com/coredns/coredns"
BINARY = "compile:coredns/coredns/coredns"
#: The same, for the target ``k8s``.
PROGRAM = "fetch:coredns/program/coredns"
#: What manifests and mirrors call it.
IMAGE = "registry.k8s.io/coredns/coredns"


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name=NAME, after=("containerd-runtime",), targets=(NAME, "k8s"))


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the target ``coredns``."""
    yield Target(
        name=NAME,
        help="CoreDNS as one static program, with the plugins that a cluster needs",
        artifacts={"coredns{suffix}": BINARY},
        defaults={"k8s": "v1.31.4"},
    )


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare the version; the default is the one that Kubernetes v1.31 itself is installed with."""
    yield Option(
        name="version",
        help="CoreDNS version",
        type="version",
        default="v1.11.3",
        env=("COREDNS_VERSION",),
        source="coredns",
    )


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch the module; for ``k8s``, take the program."""
    if build.target == NAME:
        yield Source(name="coredns", version=str(build.option("version")), locations={"gomod": MODULE})
    elif _bundled(build):
        # Under a name of its own: the module has that of the target.
        yield replace(Source.target(NAME), name="program")


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire | Overlay | Generator]:
    """Make the program's module, whose one package lists the plugins; to ``k8s``, add what deploys the image."""
    if build.target == NAME:
        # The go line is the one of newer distributions: one toolchain for both.
        yield GoModule(name="program", path="k8sbuild.dev/coredns", go="1.25.0")
        yield GoRequire(name="coredns", path=MODULE, source="coredns")
        yield Overlay(name="program", root="program")
    elif _bundled(build):
        yield Overlay(name="addon", root="node", labels={"register": "pkg/coredns"})
        yield Generator(name="image", run="k8sbuild_coredns.image:generate", params={"image": _reference(build)})


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the program."""
    if build.target == NAME:
        yield GoBinary(name="coredns", package=".")


@hookimpl
def k8sbuild_package(build: Build) -> Iterator[OciImage]:
    """Make the image of the node's bundle."""
    if build.target != NAME and _bundled(build):
        program = ImageFile(name="coredns", address=PROGRAM, path="/coredns", mode=0o755)
        yield OciImage(
            name="image",
            file="coredns-{arch}.oci.tar",
            reference=_reference(build),
            layers=(ImageLayer(name="coredns", files=(program,)),),
            entrypoint=("/coredns",),
            user="65532:65532",
            licences=(PROGRAM,),
        )


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Check that the program is static, its version, and its plugins."""
    if build.target == NAME:
        yield Check(
            name="program",
            run="k8sbuild.stages.programs:check",
            inputs=(BINARY,),
            params={
                "programs": {BINARY: str(build.option("version"))},
                "arch": build.platform.arch,
                "words": ["-version"],
            },
        )
        yield Check(name="plugins", run="k8sbuild_coredns.checks:plugins", inputs=(BINARY,), params={"binary": BINARY})


def _bundled(build: Build) -> bool:
    """Say whether the build has a node's bundle, which the image is for."""
    return build.has("containerd-runtime") and bool(build.option("containerd-runtime.bundle"))


def _reference(build: Build) -> str:
    return f"{IMAGE}:{build.option('version')}"
