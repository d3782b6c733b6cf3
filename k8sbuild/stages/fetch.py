"""The fetch stage: sources and module zips, from the store, from upstream or from another target."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from k8sbuild.engine.address import parse
from k8sbuild.store.tree import EMPTY

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

__all__ = ["artifacts", "modules", "source"]


def source(ctx: StepContext) -> None:
    """Give a source's tree, as the lock says it is."""
    assert ctx.fetcher is not None
    assert ctx.source is not None
    ctx.keep(ctx.fetcher.source(ctx.source, ctx.progress))
    ctx.facts["provider"] = ctx.fetcher.kind(ctx.source)


def modules(ctx: StepContext) -> None:
    """Give the zips of a build list, laid out as a module proxy, and their sums in ``sums.json``."""
    assert ctx.fetcher is not None
    names = list(ctx.params["modules"])
    tree = ctx.fetcher.modules(names, ctx.progress)
    sums = ctx.fetcher.sums(names) or {}
    listing = json.dumps({name: list(pair) for name, pair in sorted(sums.items())}, indent=0).encode()
    ctx.keep(ctx.store.save(tree.merged(ctx.store.add_files({"sums.json": (0o644, listing)}))))
    ctx.facts["modules"] = len(names)


def artifacts(ctx: StepContext) -> None:
    """Give another target's artifacts as one tree, by file name; an artifact that is a folder stays one."""
    tree = EMPTY
    for name, address in ctx.params["artifacts"].items():
        ctx.tree(address)
        at = parse(address)
        tree = tree.merged(ctx.trees[at.step].placed(at.path, name))
    ctx.keep(ctx.store.save(tree))
