"""Bad luck with what a whole build needs: digests that differ, no network, no Go or a wrong one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.testing.project import Project

if TYPE_CHECKING:
    from pathlib import Path

NewProject = Callable[..., Project]


@pytest.fixture
def project(new_project: NewProject, tmp_path: Path) -> Project:
    """Return a project whose cache is empty."""
    made = new_project()
    return replace(made, env={**made.env, "K8SBUILD_CACHE_DIR": str(tmp_path / "cache")})


def refused(project: Project, *words: str) -> dict[str, Any]:
    outcome = project.run("build", *words, "--format=json")
    error: dict[str, Any] = outcome.json()
    assert outcome.code == error["exit_code"]
    assert "Traceback" not in outcome.stderr
    assert error["hint"]
    assert project.artifacts() == {}
    return error


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (("sources", "kubernetes@v1.99.3", "tree"), "kubernetes v1.99.3"),
        (("modules", "example.org/dep@v1.1.0", 0), "example.org/dep@v1.1.0"),
        (("modules", "example.org/dep@v1.1.0", 1), "example.org/dep@v1.1.0"),
    ],
)
def test_what_the_lock_does_not_know_is_refused(
    project: Project, plain: Project, place: tuple[str, str, Any], said: str
) -> None:
    lock = json.loads((plain.root / "k8sbuild.lock").read_text())
    table, name, part = place
    found, wrong = lock[table][name][part], "sha256:" + "0" * 64
    lock[table][name][part] = wrong
    project.write("k8sbuild.lock", json.dumps(lock))
    error = refused(project)
    assert (error["reason"], error["exit_code"]) == ("digest-mismatch", 15)
    for text in (said, f"expected {wrong}" if part != 1 else wrong, found):
        assert text in error["message"]


@pytest.mark.measured
def test_without_a_network_it_says_so(project: Project) -> None:
    error = refused(replace(project, env={**project.env, "GOPROXY": "http://127.0.0.1:1"}))
    assert (error["reason"], error["exit_code"]) == ("network-error", 15)
    assert "GOPROXY" in error["hint"]


@pytest.mark.measured
@pytest.mark.parametrize(
    ("go", "words", "reason"),
    [("", [], "network-error"), ("#!/bin/sh\necho go1.2.3\n", ["--offline"], "offline")],
    ids=["no-go", "wrong-go"],
)
def test_a_go_that_cannot_be_had(project: Project, tmp_path: Path, go: str, words: list[str], reason: str) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    if go:
        (path / "go").write_text(go)
        (path / "go").chmod(0o755)
    without = {name: value for name, value in project.env.items() if name != "K8SBUILD_TOOLCHAIN"}
    pip = {"PIP_INDEX_URL": "http://127.0.0.1:1", "PIP_RETRIES": "1", "PIP_CONFIG_FILE": os.devnull}
    error = refused(replace(project, env={**without, **pip, "PATH": str(path)}), *words)
    assert (error["reason"], error["exit_code"]) == (reason, 15)
    assert "go" in error["message"].lower()
