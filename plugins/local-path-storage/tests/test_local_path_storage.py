"""What the hooks yield."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild_local_path_storage import plugin

from k8sbuild.testing.checks import adds_nothing, conforms, sample_build, ships_programs

if TYPE_CHECKING:
    from k8sbuild.build import Build

REFERENCE = "docker.io/rancher/local-path-provisioner:v0.0.30"


def of_a_server(*, node: bool = True, bundle: bool = True) -> Build:
    return sample_build(plugin, target="k8s", bundle=bundle, beside={"containerd-runtime.bundle": node})


def test_the_plugin_is_what_plugins_must_be() -> None:
    conforms(plugin, sample_build(plugin, target=plugin.NAME), sample_build(plugin, target="k8s"), of_a_server())


def test_nothing_is_added_to_a_server_that_was_not_asked_for() -> None:
    without_a_runtime = sample_build(plugin, target="k8s", bundle=True)
    adds_nothing(plugin, of_a_server(bundle=False), of_a_server(node=False), without_a_runtime)


def test_the_image_is_of_what_the_target_makes_and_the_server_is_told_it() -> None:
    ships_programs(plugin, of_a_server(), REFERENCE)
