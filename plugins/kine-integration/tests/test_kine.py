"""What the hooks yield for each release of Kine."""

from __future__ import annotations

from pathlib import Path

import pytest
from k8sbuild_kine_integration import plugin

from k8sbuild.kinds import Edit, GoReplace, GoRequire, Overlay, PatchSeries
from k8sbuild.testing.checks import conforms, sample_build

FOLDER = Path(plugin.__file__).parent
#: What makes writes, lists and watches fast in the log before it was rewritten.
FAST = {"0032", "0033", "0036", "0037", "0039", "0040", "0041", "0042", "0043"}
#: All releases that build without a C compiler, when this was written: what each has of its own, whether writes are
#: grouped.
RELEASES = {
    "v0.16.4": ("0.16.4", {"0005", "0006", "0007", "0009", "0021", "0022", "0023", "0034"} | FAST, True),
    "v0.16.5": ("0.16.5", {"0007", "0011", "0012", "0013", "0014"}, True),
    "v0.16.6": ("0.16.6", {"0011", "0013", "0014", "0024", "0026"}, False),
    "v0.17.0": (
        "0.16.4",
        {"0005", "0006", "0007", "0009", "0015", "0016", "0021", "0022", "0023", "0034"} | FAST,
        True,
    ),
    "v0.17.1": ("0.16.5", {"0007", "0011", "0012", "0013", "0014", "0015", "0017"}, True),
    "v0.17.2": ("0.16.5", {"0007", "0011", "0012", "0013", "0014", "0015", "0017"}, True),
    "v0.17.3": ("0.16.6", {"0011", "0013", "0014", "0015", "0017", "0024", "0026"}, False),
    "v0.17.4": ("0.16.6", {"0011", "0013", "0014", "0015", "0017", "0024", "0026"}, False),
    "v0.17.5": ("0.16.6", {"0011", "0013", "0014", "0015", "0017", "0024", "0026"}, False),
}
#: What is for all but the newest: what makes writes fast, and the clock of a simpler queue of leases.
GROUPED = {"0018", "0019", "0020", "0025"}
COMMON = {"0001", "0002", "0003", "0004", "0008", "0010", "0030", "0031", "0038"}


def patched(version: str) -> tuple[PatchSeries, list[Edit]]:
    series, *edits = plugin.k8sbuild_patch(sample_build(plugin, target="k8s", kine=version))
    assert isinstance(series, PatchSeries)
    return series, [edit for edit in edits if isinstance(edit, Edit)]


def test_the_plugin_is_what_plugins_must_be() -> None:
    conforms(plugin, *(sample_build(plugin, target="k8s", kine=version) for version in (*RELEASES, "v0.13.6")))


@pytest.mark.parametrize("version", RELEASES)
def test_each_release_gets_its_patches_and_files(version: str) -> None:
    folder, own, grouped = RELEASES[version]
    series, edits = patched(version)
    assert series.only is not None
    assert {name[:4] for name in series.only} == COMMON | own | (GROUPED if grouped else set())
    assert [edit.path for edit in edits] == ["pkg/server/rangestream.go"] * ("0017" in own)
    items = list(plugin.k8sbuild_codegen(sample_build(plugin, target="k8s", kine=version)))
    roots = [item.root for item in items if isinstance(item, Overlay)]
    assert f"releases/{folder}" in roots
    assert ("releases/groups" in roots) is grouped
    assert (FOLDER / "releases" / folder / "pkg/kine/release.go").is_file()
    assert "golang.org/x/sys" in [item.path for item in items if isinstance(item, GoReplace)]


def test_an_unknown_release_gets_all_patches_so_that_the_first_that_does_not_apply_says_so() -> None:
    assert patched("v0.18.0")[0].only is None


def test_an_old_release_asks_for_cgo_and_its_own_modules() -> None:
    items = list(plugin.k8sbuild_codegen(sample_build(plugin, target="k8s", kine="v0.13.6")))
    assert [item.cgo for item in items if isinstance(item, GoRequire)] == [True]
    assert not [item for item in items if isinstance(item, GoReplace)]
