"""What the engine has behind a step's context; no function of a plugin needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k8sbuild.store import whole
from k8sbuild.store.layout import touch
from k8sbuild.store.locks import lock
from k8sbuild.store.worktree import sync

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from k8sbuild.fetching import Fetcher
    from k8sbuild.kinds import Source
    from k8sbuild.store.store import Store
    from k8sbuild.store.tree import Tree

    from .address import Address
    from .context import StepContext
    from .folders import Folders
    from .local import Files
    from .parts import GoParts
    from .process import Processes

__all__ = ["Inside", "inside", "lay_out", "shared"]


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
    folder, tree = inside(ctx).folders.cache / "toolchains" / name, ctx.tree(address)
    if not whole.is_known(folder, tree.digest):
        lay_out(ctx, tree, folder)
        whole.remember(folder, tree.digest)
    touch(folder)
    return folder
