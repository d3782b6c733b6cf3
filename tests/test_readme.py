"""The README: its plugin is extracted, installed beside the library and used; its commands are the real ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.patching.apply import Contribution, apply
from k8sbuild.patching.edits import TextEdit
from k8sbuild.patching.tree import File
from k8sbuild.testing import checks

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAME, MODULE = "node-ports", "k8sbuild_node_ports"
PROGRAM = "from k8sbuild.tasks.program import main; main()"
OPTIONS = "pkg/kubeapiserver/options/options.go"


class Upstream:
    """A tree with the one file that the plugin edits."""

    text = b"var DefaultServiceNodePortRange = utilnet.PortRange{Base: 30000, Size: 2768}\n"

    def get(self, path: str) -> File | None:
        return File(data=self.text, mode=0o644) if path == OPTIONS else None

    def paths(self) -> Iterable[str]:
        return (OPTIONS,)


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)[number]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder with the plugin, as pip would install it."""
    project = tomllib.loads(block("toml"))["project"]
    info = tmp_path / f"{MODULE}-{project['version']}.dist-info"
    info.mkdir()
    (tmp_path / f"{MODULE}.py").write_text(block("python"), encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (entry,) = project["entry-points"]["k8sbuild"].items()
    (info / "entry_points.txt").write_text(f"[k8sbuild]\n{entry[0]} = {entry[1]}\n")
    return tmp_path


def test_plugin_has_less_than_25_lines() -> None:
    assert len((block("toml") + block("python")).splitlines()) < 25


def test_plugin_is_found_with_its_option(site: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "plugins", f"--plugin={NAME}", "--options", "--format=json"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert ([row["name"] for row in answer["plugins"]], answer["broken"]) == ([NAME], [])
    row = next(row for row in answer["options"] if row["key"] == f"{NAME}.first")
    assert (row["flag"], row["variable"]) == ("--first-port", "K8SBUILD_NODE_PORTS_FIRST")
    assert row["variable"] in README


def test_plugin_conforms_and_its_edit_applies(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(site)
    plugin = import_module(MODULE)
    build = checks.sample_build(plugin, target="k8s", first=500)
    checks.conforms(plugin, build)
    (edit,) = plugin.k8sbuild_patch(build)
    item = TextEdit(name=edit.name, path=edit.path, op=edit.op, text=edit.text, new=edit.new, count=edit.count)
    changed = apply(Upstream(), [Contribution(plugin=NAME, after=frozenset(), items=(item,))]).changes[OPTIONS]
    assert changed is not None
    assert b"PortRange{Base: 500, Size: 2768}\n" in changed.data


def test_set_up_lines_are_those_of_ci() -> None:
    """``.ci/run`` follows the README's lines word by word, apart from pip's silence."""
    steps = " && ".join((ROOT / ".ci/run").read_text(encoding="utf-8").split("\n")).replace("--quiet ", "")
    for line in (block("sh", 0), block("sh", 1)):
        assert all(command in steps for command in line.strip().split(" && ")), line
