"""The target ``etcd``: the server program of its Go module, as other sources fetched, locked and patched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.kinds import Check, GoBinary, GoModule, GoRequire, Option, PluginInfo, Source, Target
from k8sbuild.upstream import Upstream, address, checked, target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

NAME = "etcd"
#: The default is the release that Kubernetes v1.31 itself is tested with. The go line is the one of newer
#: distributions: one toolchain for both.
ETCD = Upstream(
    plugin=NAME,
    name="etcd",
    path="go.etcd.io/etcd/server/v3",
    version="v3.5.15",
    go="1.25.0",
    option="version",
    env=("ETCD_VERSION",),
    module="program",
)


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name=NAME, targets=(NAME,))


@hookimpl
def k8sbuild_targets() -> Iterator[Target]:
    """Offer the target ``etcd``."""
    yield target(NAME, ["etcd"], help="etcd as one static program", k8s="v1.31.4")


@hookimpl
def k8sbuild_options() -> Iterator[Option]:
    """Declare the version."""
    yield from ETCD.options()


@hookimpl
def k8sbuild_fetch(build: Build) -> Iterator[Source]:
    """Fetch the server's module."""
    yield ETCD.source(build)


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[GoModule | GoRequire]:
    """Make the module that the server is compiled from; it has no package of its own."""
    yield from ETCD.code()


@hookimpl
def k8sbuild_compile(build: Build) -> Iterator[GoBinary]:
    """Compile the server: its module's root is upstream's own main package, so that no code of ours is needed."""
    yield GoBinary(name="etcd", package=ETCD.path)


@hookimpl
def k8sbuild_validate(build: Build) -> Iterator[Check]:
    """Check that it is static, and its version."""
    yield checked(build, {address(NAME, "etcd"): ETCD.chosen(build)}, ["--version"])
