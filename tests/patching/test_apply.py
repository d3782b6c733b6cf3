"""Applying series: strict, all failures at once, and nobody touches another plugin's lines unasked."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import PatchError
from k8sbuild.patching.apply import Applied, Contribution, apply
from k8sbuild.patching.parse import parse
from k8sbuild.patching.tree import DictTree, File

if TYPE_CHECKING:
    from k8sbuild.patching.edits import TextEdit
    from k8sbuild.patching.model import Patch

TEN = [f"line {number}" for number in range(1, 11)]


def body(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def diff(old: list[str], new: list[str], path: str = "f", *, name: str = "x.patch", context: int = 3) -> Patch:
    found = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="", n=context)
    return parse(name, body(list(found)))


def git_diff(text: str, name: str = "x.patch") -> Patch:
    return parse(name, text.encode())


def change(line: int, *new: str, old: list[str] = TEN, name: str = "x.patch") -> Patch:
    """Replace one line (from 1) of ten by others."""
    return diff(old, [*old[: line - 1], *new, *old[line:]], name=name)


def plugin(name: str, *items: Patch | TextEdit, after: tuple[str, ...] = ()) -> Contribution:
    return Contribution(plugin=name, after=frozenset(after), items=items)


def run(files: dict[str, bytes], *contributions: Contribution) -> Applied:
    return apply(DictTree({path: File(data) for path, data in files.items()}), contributions)


def failing(files: dict[str, bytes], *contributions: Contribution) -> PatchError:
    with pytest.raises(PatchError) as caught:
        run(files, *contributions)
    return caught.value


def test_the_tree_is_only_read_and_the_result_says_who_touched_what() -> None:
    tree = DictTree({"f": File(body(TEN), 0o755)})
    result = apply(
        tree, [plugin("a", change(2, "two", name="1.patch")), plugin("b", change(8, "eight", name="2.patch"))]
    )
    assert result.changes == {"f": File(body(["line 1", "two", *TEN[2:7], "eight", *TEN[8:]]), 0o755)}
    assert result.touched == {"f": (("a", "1.patch"), ("b", "2.patch"))}
    assert result.offsets == {"1.patch": (0,), "2.patch": (0,)}
    assert tree.files == {"f": File(body(TEN), 0o755)}


def test_moved_hunks_are_found_nearest_first() -> None:
    moved = [*TEN, *(f"new {number}" for number in range(7)), *TEN, *TEN, "end"]
    result = run({"f": body(moved)}, plugin("a", diff(["x"] * 20 + TEN, ["x"] * 20 + [*TEN[:4], "five", *TEN[5:]])))
    assert result.changes["f"] == File(body([*moved[:21], "five", *moved[22:]]))
    assert result.offsets == {"x.patch": (-3,)}


def test_context_is_exact() -> None:
    assert failing({"f": body(TEN).replace(b"line 4", b"line 4 ")}, plugin("a", change(5, "five"))).details == {
        "failures": [
            {
                "reason": "patch-does-not-apply",
                "plugin": "a",
                "patch": "x.patch",
                "file": "f",
                "problem": "nearest is line 2, where 6 of 7 lines match",
                "hunk": 1,
                "patch_line": 3,
                "line": 4,
                "expected": "\n".join(TEN[3:8]),
                "found": "\n".join(["line 4 ", *TEN[4:8]]),
                "nearest": 2,
            }
        ]
    }
