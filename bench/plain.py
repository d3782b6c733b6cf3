"""Plain ``go build`` of a tree that a build has prepared, with the same flags and environment."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild.engine.go import environment
from k8sbuild.store.manifest import read_extents

from .timing import Run, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .workspace import Workspace

__all__ = ["Plain", "command_of", "forget", "forget_all_but_fetched", "prepare", "rebuilt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A copy of a prepared tree, and the command that the build ran there.

    Args:
        work: the copy of the build's work trees.
        argv: the command without ``-o``.
    """

    workspace: Workspace
    work: Path
    module: Path
    argv: tuple[str, ...]
    env: Mapping[str, str]

    def build(self, output: Path, *, fresh: bool = True) -> Run:
        """Run ``go build`` as a user would by hand; ``fresh`` removes its output first."""
        if fresh:
            output.unlink(missing_ok=True)
        argv = [*self.argv[:2], "-o", str(output), *self.argv[2:]]
        return run(argv, cwd=self.module, env=self.env, log=self.workspace.log("go-build"))

    def packages(self) -> int:
        """Return how many packages the program has."""
        flags = [word for word in self.argv[2:-1] if word.startswith(("-mod", "-trimpath", "-tags"))]
        argv = [self.argv[0], "list", *flags, "-deps", self.argv[-1]]
        done = run(argv, cwd=self.module, env=self.env, log=self.workspace.log("go-list"))
        return len(done.out.splitlines())

    def with_cache(self, gocache: Path) -> Plain:
        """Return the same with another compile cache."""
        return replace(self, env={**self.env, "GOCACHE": str(gocache)})


def rebuilt(workspace: Workspace, project: Path, *flags: str) -> None:
    """Compile in a project, and not just take the store's result, so that work trees and the log are there."""
    forget(workspace.cache, "compile:")
    workspace.invoke(project, "compile", *flags)


def forget(cache: Path, *prefixes: str) -> None:
    """Drop the store's results of the steps whose address begins so."""
    _drop_results(cache, lambda step: step.startswith(prefixes))


def forget_all_but_fetched(cache: Path) -> None:
    """Drop every result but those of the fetch stage, and every manifest and blob that only they need."""
    _drop_results(cache, lambda step: not step.startswith("fetch:"))
    store = cache / "store"
    kept = {_step(path)["tree"].removeprefix("sha256:") for path in (store / "results").glob("*/*.json")}
    manifests = {path.stem: path for path in (store / "trees").glob("*/*.json")}
    wanted = {blob for name, path in manifests.items() if name in kept for blob in read_extents(path)}
    for name, path in manifests.items():
        if name not in kept:
            path.unlink()
    for path in (store / "blobs").glob("*/*"):
        if path.name not in wanted:
            path.unlink()


def _drop_results(cache: Path, doomed: Callable[[str], bool]) -> None:
    for path in (cache / "store" / "results").glob("*/*.json"):
        if doomed(_step(path)["step"]):
            path.unlink()


def _step(path: Path) -> Mapping[str, Any]:
    result = json.loads(path.read_bytes())["result"]
    assert isinstance(result, dict)
    return result


def prepare(workspace: Workspace, project: Path, name: str) -> Plain:
    """Copy the work trees of the project's last compile, and read its command from the log."""
    (work,) = (folder for folder in (project / ".k8sbuild" / "work").iterdir() if folder.is_dir())
    copy = workspace.root / name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(work, copy, symlinks=True)
    log = max((project / ".k8sbuild" / "logs").glob("*/compile/*/*.log"), key=lambda path: path.stat().st_mtime)
    argv = command_of(log.read_text(encoding="utf-8").splitlines())
    (module,) = (path.parent for path in copy.glob("codegen/*/*/go.mod") if (path.parent / argv[-1]).is_dir())
    (modules,) = (path for path in copy.glob("fetch/*/*") if (path / "cache" / "download").is_dir())
    env = environment(
        root=Path(argv[0]).parents[1],
        modcache=workspace.cache / "modcache",
        gocache=workspace.cache / "gocache",
        modules=modules,
        os="linux",
        arch=_arch(work),
        cgo=False,
    )
    return Plain(workspace=workspace, work=copy, module=module, argv=argv, env=env)


def _arch(work: Path) -> str:
    return work.name.rpartition("-")[2]


def command_of(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the last ``go build`` of a log, without its output.

    >>> command_of(["$ /go/bin/go build -v -p=2 -o /tmp/k8s ./cmd/server", "exit 0"])
    ('/go/bin/go', 'build', '-v', '-p=2', './cmd/server')
    """
    commands = [shlex.split(line[2:]) for line in lines if line.startswith("$ ")]
    words = next(words for words in reversed(commands) if words[1:2] == ["build"])
    at = words.index("-o")
    return (*words[:at], *words[at + 2 :])
