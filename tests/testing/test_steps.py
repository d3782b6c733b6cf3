"""Contexts for tests of run functions: they are what a run gives, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import PlanError
from k8sbuild.testing import steps

if TYPE_CHECKING:
    from pathlib import Path

ALL = {
    *("name", "params", "out", "cores", "env", "facts", "log_file"),
    *("tree", "path", "paths", "read", "local", "go", "go_modules"),
    *("exec", "running", "log", "progress", "warn"),
}


def test_a_function_sees_inputs_an_output_folder_and_commands_only(tmp_path: Path) -> None:
    ctx = steps.context(tmp_path, {})
    assert {name for name in dir(ctx) if not name.startswith("_")} == ALL


def test_inputs_folders_and_facts_are_given(tmp_path: Path) -> None:
    (tmp_path / "greetings").mkdir()
    (tmp_path / "greetings/hello").write_text("Hello")
    ctx = steps.context(
        tmp_path,
        {"who": "you"},
        inputs={"compile:p/tool": {"tool": (0o755, b"#!/bin/sh\necho $1")}},
        local={"greetings": tmp_path / "greetings"},
    )
    assert ctx.exec([ctx.path("compile:p/tool/tool"), ctx.params["who"]]) == "you\n"
    assert ctx.local("greetings") == {"hello": (0o644, b"Hello")}
    assert steps.context(tmp_path, {}).out != ctx.out
    with pytest.raises(PlanError, match="does not declare"):
        ctx.tree("compile:p/other")
    with pytest.raises(PlanError, match="there is no"):
        steps.context(tmp_path, {}, local={"greetings": tmp_path / "none"})
