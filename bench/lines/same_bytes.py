"""The same build elsewhere gives the same bytes."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.line import Line, Outcome
from bench.timing import run
from bench.upstream import unpack
from k8sbuild.store.files import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from bench.workspace import Workspace

#: A number that no user of the machine has.
_STRANGER = 61234
_PATH_PROVIDER = '\n[sources.kubernetes]\nprovider = "path"\nlocation = "{}"\n'


def measure(workspace: Workspace) -> Outcome:
    """Build in another folder with another HOME, as another user, and through another provider."""
    notes: list[str] = []
    builds = {"here": _build(workspace, workspace.project("same-here"), workspace.cache)}
    builds["other folder, HOME and store"] = _elsewhere(workspace, workspace.project("same-else/other folder"))
    tree = unpack(workspace, "same-tree")
    other = workspace.project("same-path", _PATH_PROVIDER.format(tree))
    builds["provider path"] = _elsewhere(workspace, other)
    stranger = _as_stranger(workspace, notes)
    if stranger:
        builds["other user"] = stranger
    shutil.rmtree(tree)
    same = [name for name, sums in builds.items() if sums == builds["here"]]
    equal = len(same) == len(builds)
    return Outcome(
        measured=f"{len(same)} of {len(builds)} builds the same" + ("" if stranger else ", other user not tried"),
        met=equal and (True if stranger else None),
        facts={name: sums if name == "here" or sums != builds["here"] else "the same" for name, sums in builds.items()},
        notes=notes,
    )


def digests(folder: Path) -> dict[str, str]:
    """Return the digests of the artifacts in a folder, from the files themselves."""
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]
    files = [folder / name for name in names if (folder / name).is_file()]
    return {file.name: sha256_of(file) for file in files}


def _build(workspace: Workspace, project: Path, cache: Path) -> dict[str, str]:
    workspace.invoke(project, "build", "--skip-validate", cache=cache)
    return digests(project / "dist" / "artifacts")


def _elsewhere(workspace: Workspace, project: Path) -> dict[str, str]:
    """Build with an own HOME and an own store; Go's compile cache is shared, its content has no folder in it."""
    home = workspace.fresh(f"{project.name}-home")
    cache = workspace.side_cache(f"{project.name}-cache", "gocache")
    env = {**workspace.environment(cache), "HOME": str(home)}
    run(_command(), cwd=project, env=env, log=workspace.log("build-elsewhere"))
    return digests(project / "dist" / "artifacts")


def _as_stranger(workspace: Workspace, notes: list[str]) -> dict[str, str] | None:
    """Build as a user that has no rights; None, with a loud note, where that cannot be done."""
    if os.geteuid() != 0:
        notes.append("SKIPPED other user: only root can start a process as another one.")
        return None
    python = _python_for_strangers()
    if python is None:
        notes.append("SKIPPED other user: no Python of this version that another user may execute has what is needed.")
        return None
    project = workspace.project("same-user")
    home, cache = workspace.fresh("same-user-home"), workspace.fresh("same-user-cache")
    for part in ("gocache", "download"):
        shutil.copytree(workspace.cache / part, cache / part, symlinks=True)
    subprocess.run(["chown", "-R", f"{_STRANGER}:{_STRANGER}", project, home, cache], check=True)
    env = {**workspace.environment(cache), "HOME": str(home), "USER": "stranger"}
    log = workspace.log("build-as-stranger")
    run(_command(python), cwd=project, env=env, log=log, user=_STRANGER)
    found = digests(project / "dist" / "artifacts")
    for folder in (project, home, cache):
        shutil.rmtree(folder)
    return found


def _command(python: str = sys.executable) -> list[str]:
    """Return ``k8sbuild build`` for an interpreter that may not be the one of this environment."""
    packages = "; ".join(f"site.addsitedir({folder!r})" for folder in site.getsitepackages())
    code = f"import site; {packages}; from k8sbuild.tasks.program import main; main()"
    return [python, "-c", code, "build", "--skip-validate"]


def _python_for_strangers() -> str | None:
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        argv = [*_command(python)[:-2], "--version"]
        try:
            done = subprocess.run(
                argv, user=_STRANGER, group=_STRANGER, extra_groups=[], cwd="/", capture_output=True, env={"HOME": "/"}
            )
        except OSError:
            continue
        if done.returncode == 0:
            return python
    return None


LINE = Line(
    name="same-bytes",
    what="the same build in two folders, as two users, with two HOMEs, through two providers",
    target="the same sha256 of every artifact",
    how="`invoke build --skip-validate` of this repository's project, then again in a folder with a space in its name "
    "with another HOME and an empty store, as another user with empty folders of its own, and with the provider `path` "
    "over upstream's unpacked module zips instead of `gomod`. Each has a store of its own; only Go's compile cache is "
    "shared (the other user has a copy). Digests are computed from the files.",
    measure=measure,
)
