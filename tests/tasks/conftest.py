"""A project of its own, with the toy plugin, driven through the real processes."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import warm

TOY = Path(__file__).parent / "toy"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Shell:
    """Runs ``k8sbuild`` and ``invoke`` in a project; without coverage, which doubles the time of so short a run."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    server: warm.Server | None = None

    def argv(self, program: str) -> list[str]:
        if program == "invoke":
            return [sys.executable, "-m", "invoke"]
        # Like the installed program, it has no current folder on its path.
        return [sys.executable, "-P", "-c", "from k8sbuild.tasks.program import main; main()"]

    def __call__(
        self, *words: str, program: str = "k8sbuild", cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        place: dict[str, Any] = {"cwd": cwd or self.folder, "env": {**self.env, **env}, "timeout": 60}
        if self.server and (done := self.server.run(words, isolated=program != "invoke", **place)):
            return done
        return subprocess.run([*self.argv(program), *words], **place, capture_output=True, text=True)

    def bash(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of bash, with ``{invoke}`` and ``{k8sbuild}`` for the command lines."""
        line = line.format(**{name: shlex.join(self.argv(name)) for name in ("invoke", "k8sbuild")})
        return subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60
        )

    def start(self, words: Sequence[str], program: str = "k8sbuild", **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.argv(program), *words],
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def shell(tmp_path: Path, request: pytest.FixtureRequest) -> Shell:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "k8sbuild.toml").write_text('target = "toy"\nplugin = ["toy"]\n')
    (folder / "tasks.py").write_text("from k8sbuild.tasks import ns\n")
    plugins = tmp_path / "site"
    shutil.copytree(TOY, plugins, ignore=shutil.ignore_patterns("__pycache__"))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "K8SBUILD_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(plugins)]),
        "COLUMNS": "120",
    }
    # What test_traps.py looks at may come from how a process starts.
    real = request.path.stem == "test_traps"
    return Shell(folder, env, None if real else request.getfixturevalue("server"))
