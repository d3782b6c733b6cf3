"""Trees that were in use a moment ago, in memory: a source's 20,000 files take longer to read than to patch."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .store import Store
    from .tree import Tree

__all__ = ["Recent"]

#: Most trees that are kept: as many as a step of Kubernetes' has inputs.
_KEPT = 8


class Recent:
    """Loads trees of a store, and keeps the last ones. Trees do not change, so threads share them.

    Args:
        store: has them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trees: dict[str, Tree] = {}
        self._lock = threading.Lock()

    def load(self, digest: str) -> Tree:
        """Return the tree *digest*.

        Raises:
            StoreError: as :meth:`~k8sbuild.store.store.Store.load`.
        """
        return self.keep(self._trees.get(digest) or self._store.load(digest))

    def keep(self, tree: Tree) -> Tree:
        """Keep a tree that the store has, and forget what was not asked for the longest."""
        with self._lock:
            self._trees.pop(tree.digest, None)
            self._trees[tree.digest] = tree
            if len(self._trees) > _KEPT:
                del self._trees[next(iter(self._trees))]
        return tree
