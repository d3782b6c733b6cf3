"""Looks at the tree that a step gives without writing it into its output folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.engine.inside import inside

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext
    from k8sbuild.store.tree import Tree


def kept(ctx: StepContext) -> Tree:
    """Return the tree."""
    tree = inside(ctx).kept
    assert tree is not None
    return tree


def text(ctx: StepContext, path: str) -> str:
    """Return a file of the tree."""
    return inside(ctx).store.read(kept(ctx).entries[path]).decode()
