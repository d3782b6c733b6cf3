"""A repository that `init` wrote, its plugin installed, on the fake upstream."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8sbuild.testing.project import Project


def test_a_new_repository_plans_at_once(new_project: Callable[..., Project]) -> None:
    project = new_project()
    folder = project.root / "new"
    assert project.run("init", "--name=acme", "--folder=new").code == 0
    flags = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    argv = [sys.executable, "-m", "pip", "install", *flags, "--target", str(project.root / "site"), folder / "plugin"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = os.pathsep.join([project.env["PYTHONPATH"], str(project.root / "site")])
    mine = replace(project, root=folder, env={**project.env, "PYTHONPATH": path})
    # What it builds by default is of a plugin that is not here.
    plan = mine.run("plan", "--target=tiny", "--k8s=v1.99.3", "--format=json")
    assert plan.code == 0, plan
    assert "compile:tiny/tiny" in [row["step"] for row in plan.json()["steps"]]
    named = mine.run("plugins", "--options", "--format=json").json()
    assert "acme" in [row["name"] for row in named["plugins"]]
    assert "acme.max-megabytes" in [row["key"] for row in named["options"]]
