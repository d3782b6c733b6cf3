"""The real build, ended by signals in every step. `nox -s e2e -- kill`; takes many minutes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from killing import kill, leftovers

from k8sbuild.config import cache_folder
from k8sbuild.testing.project import Project

if TYPE_CHECKING:
    from k8sbuild.testing.project import Moment

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]

#: One step at a time, so that each comes to its turn.
BUILD = ("build", "--jobs=1")
#: Made from upstream alone and checked when used: what would only cost time to make again.
WARM = ("bootstrap", "download", "gocache", "gopath", "modcache", "toolchains")


def test_kill_in_every_step_and_go_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole = Project(root=ROOT, env=os.environ)
    assert whole.run("build", "--skip-validate").code == 0
    clone, cache = tmp_path / "clone", tmp_path / "cache"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    cache.mkdir()
    for name in WARM:
        (cache / name).symlink_to(cache_folder(os.environ) / name)
    project = Project(root=clone, env={**os.environ, "K8SBUILD_CACHE_DIR": str(cache)})

    tried: list[str] = []
    while waiting := _waiting(project):
        tried += kill(project, waiting[0], _everywhere(swap=len(tried) % 2 == 1), *BUILD)
        print(*tried[-5:], sep="\n", file=sys.stderr, flush=True)  # many minutes: say where it is
        assert waiting[0] not in _waiting(project), "what is finished is not redone"
    again = project.run(*BUILD)

    assert again.code == 0, again
    assert project.steps("step-started") == []
    assert project.artifacts() == whole.artifacts()
    assert leftovers(tmp_path) == []
    assert {word for text in tried for word in text.split()} >= {"start", "middle", "end", "SIGKILL", "SIGINT"}


def _everywhere(swap: bool) -> list[tuple[signal.Signals, Moment]]:
    """Return both signals at a step's start and middle, and one of them at its end (then it is done)."""
    first, second = (signal.SIGINT, signal.SIGKILL) if swap else (signal.SIGKILL, signal.SIGINT)
    return [(first, "start"), (second, "middle"), (first, "middle"), (second, "start"), (first, "end")]


def _waiting(project: Project) -> list[str]:
    """Return the steps that would run now."""
    rows = project.run("plan", "--format=json").json()["steps"]
    return sorted(row["step"] for row in rows if row["state"] == "runs")
