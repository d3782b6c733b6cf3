"""What the hooks yield."""

from __future__ import annotations

import pytest
from k8sbuild_remove_cloud_providers import plugin
from k8sbuild_remove_cloud_providers.groups import GROUPS, edits

from k8sbuild.build import Build, Platform
from k8sbuild.errors import ConfigError
from k8sbuild.kinds import PatchSeries

ALL = tuple(group.name for group in GROUPS)


def build(*keep: str) -> Build:
    return Build(
        target="k8s",
        k8s="v1.31.4",
        platform=Platform(),
        plugins=("remove-cloud-providers", "single-binary"),
        options={"remove-cloud-providers.keep": keep},
        plugin="remove-cloud-providers",
    )


def test_series_comes_before_the_edits() -> None:
    series, *rest = plugin.k8sbuild_patch(build())
    assert isinstance(series, PatchSeries)
    assert series.only is not None
    assert len(series.only) == 4
    assert tuple(rest) == edits(())


def test_kept_groups_are_neither_patched_nor_denied() -> None:
    series, *_ = plugin.k8sbuild_patch(build("ipvs"))
    assert isinstance(series, PatchSeries)
    assert series.only == ("0001-volume-hint.patch", "0002-cloud-controllers.patch", "0003-portworx.patch")
    checks = {check.name: check for check in plugin.k8sbuild_validate(build("ipvs"))}
    assert checks["linked-modules"].params["modules"] == ("github.com/libopenstorage/openstorage",)


def test_nothing_is_patched_when_all_is_kept() -> None:
    assert not list(plugin.k8sbuild_patch(build(*ALL)))


def test_unknown_group_stops_the_build() -> None:
    with pytest.raises(ConfigError):
        list(plugin.k8sbuild_patch(build("clouds")))


def test_options_and_name() -> None:
    (option,) = plugin.k8sbuild_options()
    assert option.name == "keep"
    assert all(name in option.help for name in ALL)
    assert plugin.k8sbuild_plugin().name == "remove-cloud-providers"
