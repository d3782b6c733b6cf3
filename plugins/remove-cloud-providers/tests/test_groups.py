"""The groups: what each removes, and that any subset of them applies."""

from __future__ import annotations

import re
import tomllib
from itertools import chain, combinations
from pathlib import Path

import pytest
from k8sbuild_remove_cloud_providers import groups

from k8sbuild.errors import ConfigError

SERIES = Path(groups.__file__).parent / "patches" / "kubernetes"
NAMES = [group.name for group in groups.GROUPS]
SUBSETS = list(chain.from_iterable(combinations(NAMES, size) for size in range(len(NAMES) + 1)))


def files_of(patch: str) -> set[str]:
    return set(re.findall(r"^diff --git a/(\S+)", (SERIES / patch).read_text(), re.MULTILINE))


def test_series_ledger_and_groups_name_the_same_patches() -> None:
    series = (SERIES / "series").read_text().split()
    assert series == sorted(path.name for path in SERIES.glob("*.patch"))
    assert series == list(tomllib.loads((SERIES / "ledger.toml").read_text()))
    assert tuple(series) == groups.patches(())


def test_patches_and_edits_of_different_groups_touch_different_files() -> None:
    patched = [files_of(patch) for patch in groups.patches(())]
    edited = {edit.path for edit in groups.edits(())}
    assert sum(map(len, patched)) == len(set().union(*patched))
    assert not edited & set().union(*patched)


@pytest.mark.parametrize("keep", SUBSETS, ids=",".join)
def test_names_are_unique_and_denied_is_what_is_not_kept(keep: tuple[str, ...]) -> None:
    names = [edit.name for edit in groups.edits(keep)]
    denied = groups.denied(keep)
    kept = [group for group in groups.GROUPS if group.name in keep]
    assert len(names) == len(set(names))
    for group in kept:
        assert not set(denied.packages) & {*group.packages, *group.needs}
        assert not set(denied.modules) & set(group.modules)


def test_kept_portworx_keeps_the_volume_helpers_it_needs() -> None:
    assert "k8s.io/cloud-provider/volume/helpers" in groups.denied(()).packages
    assert "k8s.io/cloud-provider/volume/helpers" not in groups.denied(["portworx"]).packages
    assert "k8s.io/cloud-provider/controllers/service" in groups.denied(["portworx"]).packages


def test_the_hint_goes_with_the_last_volume_driver() -> None:
    drivers = ["portworx", "fc", "iscsi", "flexvolume", "git-repo"]
    assert "0001-volume-hint.patch" in groups.patches(drivers[1:])
    assert "0001-volume-hint.patch" not in groups.patches(drivers)


def test_unknown_group_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"no group is named 'iscsy'; did you mean 'iscsi'\?") as caught:
        groups.removed(["iscsy"])
    assert caught.value.reason == "unknown-group"
    assert "git-repo" in caught.value.hint
