"""What the engine has behind a step's context; no function of a plugin needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k8sbuild.store.layout import touch
from k8sbuild.store.locks import lock
from k8sbuild.store.worktree import sync

from .address import parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from k8sbuild.fetching import Fetcher
    from k8sbuild.kinds import Source
    from k8sbuild.store.store import Store
    from k8sbuild.store.tree import Tree

    from .address import Address
    from .context import StepContext
    from .go import GoParts
    from .local import Files
    from .process import Processes

__all__ = ["Folders", "Inside", "inside", "lay_out", "shared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The folders of one build.

    Args:
        work: work trees of this build, the engine's alone.
        cache: shared by all builds: store, module cache, toolchains.
        gocache: the compile cache; shared by all builds, but for a second one that proves the first.
        scratch: temporary output folders.
        logs: output of external commands of this run.
    """

    work: Path
    cache: Path
    gocache: Path
    scratch: Path
    logs: Path

    def log_of(self, step: str) -> Path:
        """Return where the output of a step's commands goes."""
        return self.logs / f"{parse(step).folder}.log"


@dataclass(slots=True, kw_only=True)
class Inside:
    """What a context is made of, and what the functions of the engine's own stages may use besides.

    Args:
        trees: outputs of the steps that the step declares, whole.
        declared: the step's inputs as it declares them.
        local_files: files of plugins, by name.
        fetcher: for steps that need the network.
        source: of a step that fetches one.
        go_parts: by Go module's address.
        input_facts: by step.
        secrets: values, for the environment of commands.
        laid_out: the steps whose outputs are on disk, as they are in the store.
        kept: a tree of the store that is the output, instead of what is in the step's folder.
    """

    store: Store
    trees: Mapping[str, Tree]
    local_files: Mapping[str, Files]
    folders: Folders
    processes: Processes
    declared: tuple[Address, ...] = ()
    fetcher: Fetcher | None = None
    source: Source | None = None
    go_parts: Mapping[str, GoParts] = field(default_factory=dict)
    input_facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    laid_out: set[str] = field(default_factory=set)
    kept: Tree | None = None

    def declares(self, wanted: Address) -> bool:
        """Say whether the step's key covers what is read: the same file or folder, or one around it."""
        if wanted.step not in self.trees:
            return False
        paths = [a.path for a in self.declared if a.step == wanted.step]
        return not paths or any(not p or f"{wanted.path}/".startswith(f"{p}/") for p in paths)


def inside(ctx: StepContext) -> Inside:
    """Return what the engine has behind a context, for the functions of its own stages."""
    return ctx._inside


def lay_out(ctx: StepContext, tree: Tree, folder: Path) -> None:
    """Make a folder of ours equal to a tree; steps and builds that do so at the same time take turns."""
    with lock(folder.with_name(f"{folder.name}.lock"), ctx.name):
        report = sync(inside(ctx).store, tree, folder)
    if report.restored:
        ctx.warn(f"{folder}: put back what was changed there: {', '.join(report.restored[:5])}")


def shared(ctx: StepContext, address: str, name: str) -> Path:
    """Return where an input is for all builds: a toolchain, laid out once.

    Args:
        name: of the folder; no two trees that are used have the same.
    """
    folder = inside(ctx).folders.cache / "toolchains" / name
    lay_out(ctx, ctx.tree(address), folder)
    touch(folder)
    return folder
