"""The fetch stage: sources and module zips, from the store, from upstream or from another target."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from k8sbuild.engine.address import parse
from k8sbuild.engine.inside import inside
from k8sbuild.stages import licences
from k8sbuild.store.tree import EMPTY

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

__all__ = ["artifacts", "modules", "source"]


def source(ctx: StepContext) -> None:
    """Give a source's tree, as the lock says it is."""
    behind = inside(ctx)
    assert behind.fetcher is not None
    assert behind.source is not None
    behind.kept = behind.fetcher.source(behind.source, ctx.progress)
    ctx.facts["provider"] = behind.fetcher.kind(behind.source)


def modules(ctx: StepContext) -> None:
    """Give the zips of a build list, laid out as a module proxy, their sums in ``sums.json``, their licence texts."""
    behind = inside(ctx)
    assert behind.fetcher is not None
    names = list(ctx.params["modules"])
    tree = behind.fetcher.modules(names, ctx.progress)
    sums = behind.fetcher.sums(names) or {}
    listing = json.dumps({name: list(pair) for name, pair in sorted(sums.items())}, indent=0).encode()
    beside = {"sums.json": (0o644, listing), **licences.of_zips(behind.store, tree)}
    behind.kept = behind.store.save(tree.merged(behind.store.add_files(beside)))
    ctx.facts["modules"] = len(names)


def artifacts(ctx: StepContext) -> None:
    """Give another target's artifacts as one tree, by file name; an artifact that is a folder stays one."""
    behind = inside(ctx)
    tree = EMPTY
    for name, address in ctx.params["artifacts"].items():
        ctx.tree(address)
        at = parse(address)
        tree = tree.merged(behind.trees[at.step].placed(at.path, name))
    behind.kept = behind.store.save(tree)
