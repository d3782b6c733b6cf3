"""Trees in memory."""

from __future__ import annotations

from k8sbuild.patching.tree import DictTree, File, Overlay


def test_an_overlay_hides_changes_and_removals() -> None:
    base = DictTree({"a": File(b"1"), "b": File(b"2")})
    tree = Overlay(base, {"a": None, "c": File(b"3", 0o755)})
    assert sorted(tree.paths()) == ["b", "c"]
    assert (tree.get("a"), tree.get("b"), tree.get("c")) == (None, File(b"2"), File(b"3", 0o755))
    assert base.get("a") == File(b"1")
