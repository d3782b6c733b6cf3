"""Runs that are forked are what real ones are."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import warm

from k8sbuild.testing.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("words", [["--list"], ["plugins", "--format=json"], ["bild"], ["plan", "--k8s=1"]])
def test_a_forked_run_is_like_a_real_one(new_project: Callable[..., Project], words: list[str]) -> None:
    project = new_project()
    real = Project(root=project.root, env=project.env)
    assert isinstance(project, warm.Warm)
    assert project.run(*words) == real.run(*words)


def test_a_run_that_takes_too_long_is_ended(new_project: Callable[..., Project]) -> None:
    project = new_project()
    server = warm.start()
    with pytest.raises(subprocess.TimeoutExpired):
        server.run(["plan"], cwd=project.root, env=project.environment, timeout=0.001)
    assert server.process.returncode


def test_a_run_beside_another_one_is_left_to_the_caller(
    new_project: Callable[..., Project], server: warm.Server
) -> None:
    project = new_project()
    with server.free:
        assert server.run(["--list"], cwd=project.root, env=project.environment) is None
        assert project.run("--list").code == 0
