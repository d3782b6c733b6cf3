"""Small Go programs of the testing kit."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING
from unittest import SkipTest

import pytest

from k8sbuild.golang.binary import build_info
from k8sbuild.testing import programs

if TYPE_CHECKING:
    from pathlib import Path

TREE = {
    "go.mod": "module example.com/two\n\ngo 1.22\n",
    "cmd/one/main.go": "package main\n\nfunc main() {}\n",
    "cmd/two/main.go": "package main\n\nfunc main() {}\n",
}


def test_every_program_of_the_module_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=nonsense")
    folder = programs.compiled(tmp_path, TREE, arch="arm64")
    assert sorted(path.name for path in folder.iterdir()) == ["one", "two"]
    settings = build_info(folder / "one").settings
    assert (settings["GOARCH"], settings["-trimpath"], settings["CGO_ENABLED"]) == ("arm64", "true", "0")


def test_what_does_not_compile_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        programs.compiled(tmp_path, {**TREE, "cmd/one/main.go": "package main\n"})


def test_without_go_a_test_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SkipTest, match="no go on PATH"):
        programs.compiled(tmp_path, TREE)
