"""What the hooks yield."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild_metrics_server import plugin

from k8sbuild.kinds import Generator, OciImage, Source
from k8sbuild.testing.checks import conforms, contributions, sample_build

if TYPE_CHECKING:
    from k8sbuild.build import Build

REFERENCE = "registry.k8s.io/metrics-server/metrics-server:v0.8.0"


def of_a_server(*, node: bool = True, bundle: bool = True) -> Build:
    return sample_build(plugin, target="k8s", bundle=bundle, beside={"containerd-runtime.bundle": node})


def test_the_plugin_is_what_plugins_must_be() -> None:
    conforms(plugin, sample_build(plugin, target=plugin.NAME), sample_build(plugin, target="k8s"), of_a_server())


def test_nothing_is_added_to_a_server_that_was_not_asked_for() -> None:
    for build in (of_a_server(bundle=False), of_a_server(node=False), sample_build(plugin, target="k8s", bundle=True)):
        given = contributions(plugin, build)
        stages = ("fetch", "codegen", "compile", "package", "validate")
        assert not [item for stage in stages for item in given[f"k8sbuild_{stage}"]]


def test_the_image_is_of_what_the_target_makes_and_the_server_is_told_it() -> None:
    given = contributions(plugin, of_a_server())
    (made,) = given["k8sbuild_package"]
    assert isinstance(made, OciImage)
    assert made.reference == REFERENCE
    (source,) = given["k8sbuild_fetch"]
    assert isinstance(source, Source)
    assert source.locations == {"target": plugin.NAME}
    (target,) = given["k8sbuild_targets"]
    names = [name.removesuffix("{suffix}") for name in target.artifacts]
    assert [file.address for layer in made.layers for file in layer.files] == [
        f"fetch:{plugin.NAME}/{source.name}/{name}" for name in names
    ]
    (generator,) = [item for item in given["k8sbuild_codegen"] if isinstance(item, Generator)]
    assert generator.params["constants"] == {"image": REFERENCE}
