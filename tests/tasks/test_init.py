"""A new repository, and that its plugin works."""

from __future__ import annotations

import importlib
import tomllib
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from k8sbuild import api, scaffold
from k8sbuild.errors import ValidateError
from k8sbuild.kinds import PluginInfo
from k8sbuild.plugins import Plugin, Plugins
from k8sbuild.testing.checks import conforms, sample_build

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell

NAME, PACKAGE = "acme-cloud", "k8sbuild_acme_cloud"


def test_init_writes_a_plugin_that_works_with_its_configuration(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = shell("init", f"--name={NAME}", "--folder=new", program="invoke")
    assert done.returncode == 0, done.stderr
    folder = shell.folder / "new"
    project = tomllib.loads((folder / "plugin/pyproject.toml").read_text())["project"]
    assert project["entry-points"]["k8sbuild"] == {NAME: PACKAGE}
    monkeypatch.syspath_prepend(folder / "plugin")
    module = importlib.import_module(PACKAGE)
    conforms(module, sample_build(module, target="k8s"))
    (folder / "k8sbuild.toml").write_text((folder / "k8sbuild.toml").read_text().replace("= 200", "= 7"))
    base = api.setup(api.Request(flags={"plugin": NAME}, env={}, root=folder, extra=((NAME, module),)), strict=False)
    assert ([p.name for p in base.plugins], base.plugins.broken) == ([NAME], ())
    assert base.values[f"{NAME}.max-megabytes"] == 7
    without = api.Request(flags={"no-plugin": NAME}, env={}, root=folder, extra=((NAME, module),))
    assert f"{NAME}.max-megabytes" not in api.setup(without, strict=False).values
    binary = tmp_path / "binary"
    with binary.open("wb") as file:
        file.truncate(9_000_000)
    with pytest.raises(ValidateError, match="9 MB, 7 are allowed"):
        module.size(SimpleNamespace(path={module.BINARY: binary}.get, params={"limit": 7}))


def test_init_repository_offers_the_tasks(shell: Shell) -> None:
    shell("init", f"--name={NAME}", "--folder=new")
    (shell.folder / "new/k8sbuild.toml").unlink()
    assert "build-fast" in shell("--list", program="invoke", cwd=shell.folder / "new").stdout


def test_init_repository_says_that_its_plugin_is_not_installed_yet(shell: Shell) -> None:
    shell("init", f"--name={NAME}", "--folder=new")
    done = shell("plan", program="invoke", cwd=shell.folder / "new")
    assert (done.returncode, f"no installed plugin {NAME!r}" in done.stderr) == (12, True), done.stderr
    assert "pip install -r requirements.txt" in done.stderr


def test_init_names_folders_where_packages_are_from_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    origins = {"k8sbuild": '{"url": "file:///src/my%20k8s", "dir_info": {"editable": true}}', "toy": "{}"}

    def distribution(name: str) -> SimpleNamespace:
        return SimpleNamespace(read_text=lambda _: origins[name])

    monkeypatch.setattr(scaffold, "distribution", distribution)
    toy = Plugin(info=PluginInfo(name="toy"), module=None, folder=tmp_path, distribution="toy")
    monkeypatch.setattr(scaffold, "load", lambda: Plugins(loaded=(toy,)))
    scaffold.init(tmp_path, name=NAME)
    assert (tmp_path / "requirements.txt").read_text().splitlines() == ["-e '/src/my k8s'", "toy", "-e ./plugin"]


def test_init_writes_over_nothing(shell: Shell) -> None:
    done = shell("init", f"--name={NAME}", "--folder=.")
    assert (done.returncode, "[file-exists]" in done.stderr) == (11, True)
    assert not (shell.folder / "plugin").exists()


def test_init_without_a_folder_needs_an_empty_one(shell: Shell) -> None:
    done = shell("init", f"--name={NAME}")
    assert (done.returncode, "[folder-not-empty]" in done.stderr, "--folder=" in done.stderr) == (11, True, True)
    (empty := shell.folder / "acme").mkdir()
    (empty / ".git").mkdir()
    assert "wrote k8sbuild.toml" in shell("init", cwd=empty).stdout


def test_init_refuses_the_name_of_an_installed_plugin(shell: Shell) -> None:
    done = shell("init", "--name=toy", "--folder=new")
    assert (done.returncode, "[name-taken]" in done.stderr) == (11, True), done.stderr
    assert not (shell.folder / "new").exists()


def test_init_refuses_names_that_cannot_be_packages(shell: Shell) -> None:
    done = shell("init", "--name=My Cloud", "--folder=new")
    assert (done.returncode, "[bad-value]" in done.stderr) == (11, True)
    assert not (shell.folder / "new").exists()


def test_init_dry_writes_nothing(shell: Shell) -> None:
    done = shell("init", f"--name={NAME}", "--folder=new", "--dry")
    assert f"would write new/plugin/{PACKAGE}/__init__.py" in done.stdout
    assert not (shell.folder / "new").exists()
