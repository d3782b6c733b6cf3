"""The target ``etcd``: the server program of its Go module, as other sources fetched, locked and patched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.kinds import Check, GoBinary, GoModule, GoRequire, Option, PluginInfo, Source, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

#: Its root package is upstream's own main package, so that no code of ours is needed.
MODULE = "go.etcd.io/etcd/server/v3"
BINARY = "compile:etcd/etcd/etcd"


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name="etcd", targets=("etcd",))


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the target ``etcd``."""
    yield Target(
        name="etcd",
        help="etcd as one static program",
        artifacts={"etcd{suffix}": BINARY},
        defaults={"k8s": "v1.31.4"},
    )


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare the version; the default is the one that Kubernetes v1.31 itself is tested with."""
    yield Option(
        name="version",
        help="etcd version",
        type="version",
        default="v3.5.15",
        env=("ETCD_VERSION",),
        source="etcd",
    )


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch the server's module; the others come with the build list."""
    yield Source(name="etcd", version=str(build.option("version")), locations={"gomod": MODULE})


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire]:
    """Make the module that the server is compiled from; it has no package of its own."""
    # The go line is the one of newer distributions: one toolchain for both.
    yield GoModule(name="program", path="k8sbuild.dev/etcd", go="1.25.0")
    yield GoRequire(name="etcd", path=MODULE, source="etcd")


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the server."""
    yield GoBinary(name="etcd", package=MODULE)


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Check that it is static, and its version."""
    yield Check(
        name="program",
        run="k8sbuild.stages.programs:check",
        inputs=(BINARY,),
        params={
            "programs": {BINARY: str(build.option("version"))},
            "arch": build.platform.arch,
            "words": ["--version"],
        },
    )
