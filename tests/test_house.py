"""What holds for the whole repository: packages agree with each other, tests mirror the library."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from k8sbuild import __version__

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
PACKAGES = [ROOT, *PLUGINS]


def project(folder: Path) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return table


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
def test_every_package_has_the_same_version_licence_and_pythons(folder: Path) -> None:
    table, top = project(folder), project(ROOT)
    assert table["version"] == __version__
    for name in ("license", "license-files", "requires-python"):
        assert table[name] == top[name], name
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (folder / table["readme"]).is_file()


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_first_party_plugin_wants_the_library_it_was_released_with(folder: Path) -> None:
    table = project(folder)
    assert f"k8sbuild=={__version__}" in table["dependencies"]
    assert table["name"] == f"k8sbuild-{folder.name}"
    assert list(table["entry-points"]["k8sbuild"]) == [folder.name]


def test_tests_mirror_the_library() -> None:
    parts = {path.parent.name for path in ROOT.glob("k8sbuild/*/__init__.py")}
    tested = {path.parent.name for path in ROOT.glob("tests/*/test_*.py")}
    assert parts - tested == set(), "these have no tests"
    assert tested - parts <= {"bench", "conformance", "dist", "e2e"}, "these test no part of the library"
