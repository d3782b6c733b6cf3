"""When the hooks bring the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from k8sbuild_bridge_network import plugin

from k8sbuild.kinds import Overlay
from k8sbuild.testing.checks import conforms, contributions, sample_build

if TYPE_CHECKING:
    from k8sbuild.build import Build


def build(*, node: bool) -> Build:
    """Return a build with the plugin whose option makes a node."""
    return sample_build(plugin, target="k8s", beside={"containerd-runtime.bundle": node})


def test_the_plugin_is_what_plugins_must_be() -> None:
    conforms(plugin, sample_build(plugin, target="k8s"), build(node=False), build(node=True))


def test_a_node_has_it() -> None:
    (overlay,) = contributions(plugin, build(node=True))["k8sbuild_codegen"]
    assert isinstance(overlay, Overlay)
    assert overlay.labels == {"register": "pkg/network"}


@pytest.mark.parametrize("other", [sample_build(plugin, target="k8s"), build(node=False)])
def test_what_is_no_node_has_it_not(other: Build) -> None:
    assert contributions(plugin, other)["k8sbuild_codegen"] == ()
