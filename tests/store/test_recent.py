"""Trees that are kept in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import StoreError
from k8sbuild.store import Store, recent

if TYPE_CHECKING:
    from pathlib import Path


def test_a_tree_is_read_once_while_it_is_in_use(tmp_path: Path) -> None:
    store = Store(tmp_path)
    trees = [store.add_files({"number": (0o644, str(number).encode())}) for number in range(recent._KEPT + 1)]
    kept = recent.Recent(store)
    first, *others = (tree.digest for tree in trees)
    loaded = kept.load(first)
    assert kept.load(first) is loaded
    assert loaded == trees[0]
    for digest in others:
        kept.load(digest)
    assert kept.load(others[-1]) is kept.load(others[-1])
    assert kept.load(first) is not loaded, "what was not asked for the longest is forgotten"


def test_what_was_just_made_is_not_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = store.add_files({"a": (0o644, b"a")})
    kept = recent.Recent(store)
    assert kept.load(kept.keep(made).digest) is made


def test_what_the_store_lacks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        recent.Recent(Store(tmp_path)).load(f"sha256:{'0' * 64}")
    assert caught.value.reason == "tree-missing"
