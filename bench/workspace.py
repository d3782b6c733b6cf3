"""The folder that a run works in: projects, a cache of its own, logs."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild.config import cache_folder

from .timing import Run, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ROOT", "Workspace", "answer", "go_of", "open_workspace"]

#: Folder of a workspace for what a run of the benchmarks removes at its end.
TRASH = "trash"

ROOT = Path(__file__).parents[1]
#: What makes a folder a project that builds the same as this repository.
_PROJECT = ("tasks.py", "k8sbuild.toml", "k8sbuild.lock")
#: What costs a download, and cannot change a number: taken from the user's cache where it is there.
_DOWNLOADS = ("download", "bootstrap")
#: What a user's shell has not: a machine of CI says what it is, and may keep Python from compiling a module once.
_NOT_OURS = ("CI", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A folder with projects, a cache folder and logs. It stays for the next run: its compile cache is expensive.

    Args:
        root: the folder.
        rounds: how often short measurements are repeated.
        unique: a text that no run before had, for edits that no cache has seen.
    """

    root: Path
    rounds: int
    unique: str
    _logs: Iterator[int]

    @property
    def cache(self) -> Path:
        """The cache folder of all projects but those that a line empties."""
        return self.root / "cache"

    def log(self, name: str) -> Path:
        """Return a new file for a command's output."""
        return self.root / "logs" / self.unique / f"{next(self._logs):03}-{name}.log"

    def say(self, text: str) -> None:
        """Tell the user what is going on."""
        print(f"  {text}", file=sys.stderr, flush=True)

    def project(self, name: str, toml: str = "") -> Path:
        """Return a new project that builds what this repository builds; ``toml`` is added to its settings."""
        folder = self.fresh(name)
        for part in _PROJECT:
            shutil.copy(ROOT / part, folder / part)
        with (folder / "k8sbuild.toml").open("a", encoding="utf-8") as file:
            file.write(toml)
        return folder

    def fresh(self, name: str) -> Path:
        """Return an empty folder."""
        folder = self.root / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def side_cache(self, name: str, *shared: str) -> Path:
        """Return a new cache folder with its own store; the ``shared`` parts and the downloads are links."""
        folder = self.fresh(name)
        for part in (*shared, *_DOWNLOADS):
            (self.cache / part).mkdir(parents=True, exist_ok=True)
            (folder / part).symlink_to((self.cache / part).resolve())
        return folder

    def invoke(self, project: Path, *args: str, cache: Path | None = None, user: int | None = None) -> Run:
        """Run ``invoke ARGS`` in a project."""
        program = Path(sys.executable).with_name("invoke")
        log = self.log(f"invoke-{args[0]}")
        return run([program, *args], cwd=project, env=self.environment(cache), log=log, user=user)

    def environment(self, cache: Path | None = None) -> dict[str, str]:
        """Return the user's environment without settings of ours, with a cache folder."""
        mine = {n: v for n, v in os.environ.items() if not n.startswith(("K8SBUILD_", "K8S_")) and n not in _NOT_OURS}
        return {**mine, "K8SBUILD_CACHE_DIR": str(cache or self.cache)}


def go_of(workspace: Workspace, project: Path) -> Path:
    """Return the ``go`` that compiled a project's artifacts: a cache may have several."""
    inputs = json.loads((project / "dist" / "artifacts" / "build.json").read_text(encoding="utf-8"))["inputs"]
    (version,) = inputs["toolchain"].values()
    return workspace.cache / "toolchains" / str(version).partition("-")[2] / "bin" / "go"


def answer(done: Run) -> Mapping[str, Any]:
    """Return what a command said with ``--format=json``."""
    found = json.loads(done.out)
    assert isinstance(found, dict)
    return found


def open_workspace(rounds: int) -> Workspace:
    """Return the workspace at ``$K8SBUILD_BENCH_DIR``, by default in the folder for temporary files.

    It is where other users can go, too: one line builds as another user.
    """
    default = Path(tempfile.gettempdir()) / "k8sbuild-bench"
    root = Path(os.environ.get("K8SBUILD_BENCH_DIR", default)).absolute()
    cache = root / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for part in _DOWNLOADS:
        theirs = cache_folder(os.environ) / part
        if theirs.is_dir() and not (cache / part).exists():
            (cache / part).symlink_to(theirs)
    return Workspace(root=root, rounds=rounds, unique=f"{time.time_ns():x}", _logs=count(1))
