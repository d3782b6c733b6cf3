"""The network of the node of ``k8s``: pods on a bridge, routes to other nodes, and the way out of the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild import hookimpl
from k8sbuild.kinds import Overlay, PluginInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.build import Build

NAME = "bridge-network"
#: The plugin whose container runtime plugs pods in; its option makes a node of ``k8s``.
RUNTIME = "containerd-runtime"


@hookimpl
def k8sbuild_plugin() -> PluginInfo:
    """Say who we are."""
    return PluginInfo(name=NAME, after=("single-binary", RUNTIME), targets=("k8s",))


def wanted(build: Build) -> bool:
    """Say whether the node that is built has a container runtime of its own, which this is the network of."""
    return build.enabled(f"{RUNTIME}.bundle")


@hookimpl
def k8sbuild_codegen(build: Build) -> Iterator[Overlay]:
    """Add the component."""
    if wanted(build):
        yield Overlay(name="network", root="overlay", labels={"register": "pkg/network"})
