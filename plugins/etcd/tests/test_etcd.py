"""What the hooks yield."""

from __future__ import annotations

from k8sbuild_etcd import plugin

from k8sbuild.testing.checks import conforms, sample_build


def test_the_plugin_is_what_plugins_must_be() -> None:
    conforms(plugin, sample_build(plugin, target="etcd"), sample_build(plugin, target="etcd", version="v3.5.16"))
