"""When the hooks bring network policies, and what they leave out of the project."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from k8sbuild_network_policy import plugin

from k8sbuild.build import matches
from k8sbuild.kinds import Edit, GoRequire, Overlay, PatchSeries, Source
from k8sbuild.testing.checks import adds_nothing, conforms, contributions, sample_build

if TYPE_CHECKING:
    from k8sbuild.build import Build

PATCHES = Path(plugin.__file__).parent / "patches" / plugin.PROJECT


def build(*, node: bool) -> Build:
    """Return a build with the plugin whose option makes a node."""
    return sample_build(plugin, target="k8s", beside={"containerd-runtime.bundle": node})


def test_the_plugin_is_what_plugins_must_be() -> None:
    conforms(plugin, sample_build(plugin, target="k8s"), build(node=False), build(node=True))


@pytest.mark.parametrize("other", [sample_build(plugin, target="k8s"), build(node=False)])
def test_what_is_no_node_has_nothing_of_it(other: Build) -> None:
    adds_nothing(plugin, other)


def test_a_node_has_the_component_and_no_module_of_kubernetes_is_raised() -> None:
    made = contributions(plugin, build(node=True))
    (source,) = made["k8sbuild_fetch"]
    assert isinstance(source, Source)
    assert source.layout == "bare"
    requires = {item.path: item.source for item in made["k8sbuild_codegen"] if isinstance(item, GoRequire)}
    assert requires.pop(plugin.MODULE) == source.name
    assert sorted(requires) == [path for path, _ in plugin.NEEDED]
    (overlay,) = (item for item in made["k8sbuild_codegen"] if isinstance(item, Overlay))
    assert overlay.labels == {"register": "pkg/networkpolicy"}


def test_the_ledger_knows_every_patch_and_the_default_version() -> None:
    ledger = tomllib.loads((PATCHES / "ledger.toml").read_text(encoding="utf-8"))
    assert list(ledger) == (PATCHES / "series").read_text(encoding="utf-8").split()
    version = str(build(node=True).option("version"))
    assert all(matches(version, entry["applies-to"]) for entry in ledger.values())


def test_what_is_of_another_module_is_taken_out() -> None:
    series, *edits = contributions(plugin, build(node=True))["k8sbuild_patch"]
    assert isinstance(series, PatchSeries)
    assert [edit.path for edit in edits if isinstance(edit, Edit) and edit.op == "delete-file"] == [
        "pkg/networkpolicy/networkpolicyapi.go"
    ]
    first = (PATCHES / "0001-network-policies-only.patch").read_text(encoding="utf-8").splitlines()
    imported = [line for line in first if "sigs.k8s.io/network-policy-api" in line]
    assert len(imported) == 4
    assert all(line.startswith("-") for line in imported)
