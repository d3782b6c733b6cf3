"""What the hooks yield."""

from __future__ import annotations

import pytest
from k8sbuild_single_binary import plugin

from k8sbuild.kinds import Source
from k8sbuild.testing.checks import conforms, sample_build


def test_the_plugin_is_what_plugins_must_be() -> None:
    conforms(plugin, *(sample_build(plugin, target="k8s", validate_ha=on) for on in (False, True)))


@pytest.mark.parametrize("on", [False, True])
def test_etcd_is_taken_only_where_the_check_is_wanted(on: bool) -> None:
    build = sample_build(plugin, target="k8s", validate_ha=on)
    checks = {check.name: check for check in plugin.k8sbuild_validate(build)}
    assert (plugin.ETCD in checks["live-ha"].inputs) == checks["live-ha"].enabled == on
    assert "validate-ha=true" in checks["live-ha"].why
    assert (Source.target("etcd") in list(plugin.k8sbuild_fetch(build))) == on
