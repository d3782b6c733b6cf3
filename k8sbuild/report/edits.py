"""What is said of edit trees: where they are, what is left to mend, what was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .table import near

if TYPE_CHECKING:
    from k8sbuild.editing.place import EditTree
    from k8sbuild.editing.refresh import Refreshed

__all__ = ["laid_out", "refreshed"]


def laid_out(tree: EditTree) -> str:
    """Return where an edit tree is and what to do there."""
    folder = near(tree.folder)
    then = f"then, with the same options: k8sbuild patch-refresh --source={tree.source}"
    if not tree.patch:
        return f"edit {folder}, {then} --name=NAME"
    if not tree.problems:
        return f"{folder} ends with {tree.patch}: edit files, {then}"
    rejects = [f"  rejected: {near(str(Path(tree.folder) / path))}" for path in tree.rejects]
    head = f"{folder} ends with {tree.patch}, which does not apply to {tree.source} {tree.version}:"
    problems = ["  " + problem.replace("\n", "\n  ") for problem in tree.problems]
    return "\n".join([head, *problems, *rejects, f"mend the files, {then}"])


def refreshed(made: Refreshed, *, asked: bool) -> str:
    """Return which patch was written, and what is next.

    Args:
        asked: whether the new patch still lacks its reason in the ledger.
    """
    lines = [f"wrote {near(made.patch)}", *(f"  {path}" for path in made.files)]
    lines += [f"say why in {near(made.ledger)}"] if asked else []
    return "\n".join([*lines, *([laid_out(made.tree)] if made.tree.patch else [])])
