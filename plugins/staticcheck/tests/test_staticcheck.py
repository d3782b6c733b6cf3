"""What the hooks yield."""

from __future__ import annotations

from k8sbuild_staticcheck import plugin

from k8sbuild.testing.checks import conforms, sample_build


def test_the_plugin_is_what_plugins_must_be() -> None:
    build = sample_build(plugin, target="staticcheck")
    conforms(plugin, build, sample_build(plugin, target="staticcheck", version="v0.6.1"))
