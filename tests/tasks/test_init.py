"""A new repository, and that its plugin works."""

from __future__ import annotations

import importlib
import tomllib
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from k8sbuild import api
from k8sbuild.errors import ValidateError
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
    binary = tmp_path / "binary"
    with binary.open("wb") as file:
        file.truncate(9_000_000)
    with pytest.raises(ValidateError, match="9 MB, 7 are allowed"):
        module.size(SimpleNamespace(path={module.BINARY: binary}.get, params={"limit": 7}))


def test_init_repository_offers_the_tasks(shell: Shell) -> None:
    shell("init", f"--name={NAME}", "--folder=new")
    (shell.folder / "new/k8sbuild.toml").unlink()
    assert "build-fast" in shell("--list", program="invoke", cwd=shell.folder / "new").stdout


def test_init_writes_over_nothing(shell: Shell) -> None:
    done = shell("init", f"--name={NAME}")
    assert (done.returncode, "[file-exists]" in done.stderr) == (11, True)
    assert not (shell.folder / "plugin").exists()


def test_init_refuses_names_that_cannot_be_packages(shell: Shell) -> None:
    done = shell("init", "--name=My Cloud", "--folder=new")
    assert (done.returncode, "[bad-value]" in done.stderr) == (11, True)
    assert not (shell.folder / "new").exists()


def test_init_dry_writes_nothing(shell: Shell) -> None:
    done = shell("init", f"--name={NAME}", "--folder=new", "--dry")
    assert f"would write new/plugin/{PACKAGE}/__init__.py" in done.stdout
    assert not (shell.folder / "new").exists()
