"""Looking for damage: what is in the store, against what it is called."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8sbuild.errors import StoreError
from k8sbuild.store import manifest
from k8sbuild.store.files import sha256_of
from k8sbuild.store.result import Result
from k8sbuild.store.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from k8sbuild.store.layout import Layout

__all__ = ["Damage", "check", "is_sound", "results_of", "used_blobs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something in the store that is not what it should be.

    Args:
        what: ``blob``, ``tree`` or ``result``.
        name: name of the file in the store.
        problem: what is wrong with it.
        trees: digests of the trees that cannot be trusted for it; `Store.drop` each.
    """

    what: str
    name: str
    problem: str
    trees: tuple[str, ...] = ()


def is_sound(blob: Path) -> bool:
    """Whether the blob's content has the digest that it is named by; a missing one is not sound."""
    try:
        return sha256_of(blob) == blob.name
    except OSError:
        return False


def used_blobs(layout: Layout) -> dict[str, list[str]]:
    """Return, for every blob that a readable manifest names, the digests of those trees."""
    users: dict[str, list[str]] = {}
    for path in layout.trees():
        try:
            blobs = manifest.read_extents(path)
        except (OSError, ValueError):
            continue
        for blob in blobs:
            users.setdefault(blob, []).append("sha256:" + path.stem)
    return users


def results_of(layout: Layout, digest: str) -> Iterator[Path]:
    """Yield the results that point at the tree *digest*."""
    for path in layout.results():
        if tree_of(path) == digest:
            yield path


def tree_of(result: Path) -> str:
    """Return the digest of the tree that a result points at; empty where it cannot be read."""
    try:
        return Result.from_json(result.read_bytes()).tree
    except (OSError, ValueError):
        return ""


def check(layout: Layout) -> list[Damage]:
    """Hash every blob, manifest and result again.

    Returns:
        What is damaged: blobs, then trees, then results, each by name.
    """
    return [*_damaged_blobs(layout), *_damaged_trees(layout), *_damaged_results(layout)]


def _damaged_blobs(layout: Layout) -> Iterator[Damage]:
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and rarely needed

    users = used_blobs(layout)
    blobs = sorted({path.name for path in layout.blobs()} | set(users))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, sound in zip(blobs, pool.map(lambda name: is_sound(layout.blob(name)), blobs), strict=True):
            if not sound:
                problem = "its digest differs" if layout.blob(name).exists() else "it is missing"
                yield Damage(what="blob", name=name, problem=problem, trees=tuple(users.get(name, ())))


def _damaged_trees(layout: Layout) -> Iterator[Damage]:
    for path in layout.trees():
        digest = "sha256:" + path.stem
        try:
            problem = "" if Tree.from_json(path.read_bytes()).digest == digest else "its digest differs"
        except (OSError, ValueError, StoreError) as error:
            problem = str(error)
        if problem:
            yield Damage(what="tree", name=path.name, problem=problem, trees=(digest,))


def _damaged_results(layout: Layout) -> Iterator[Damage]:
    for path in layout.results():
        if not tree_of(path):
            yield Damage(what="result", name=path.name, problem="it cannot be read or its checksum differs")
