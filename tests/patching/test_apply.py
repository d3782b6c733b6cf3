"""Applying series: strict, all failures at once, and nobody touches another plugin's lines unasked."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import PatchError
from k8sbuild.patching.apply import Applied, Contribution, apply
from k8sbuild.patching.edits import TextEdit
from k8sbuild.patching.parse import parse
from k8sbuild.patching.tree import DictTree, File

if TYPE_CHECKING:
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


def test_a_vendor_folder_is_patched_where_the_source_has_one() -> None:
    files = {"vendor/x.go": body(TEN)}
    patch, edit = diff(TEN, TEN[1:], "vendor/x.go"), TextEdit(name="e", path="vendor/x.go", op="delete-file")
    for item in (patch, edit, git_diff("--- /dev/null\n+++ b/vendor/y.go\n@@ -0,0 +1 @@\n+x\n")):
        assert failing(files, plugin("a", item)).reason == "patch-outside-tree"
        assert len(run({**files, "vendor/modules.txt": b""}, plugin("a", item)).changes) == 1


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


def test_every_failure_of_every_patch_is_in_one_error() -> None:
    two = diff(TEN, ["1", *TEN[1:5], "6", *TEN[6:9], "10"], context=1, name="two.patch")
    gone = diff(["x"], ["y"], path="pkg/old/f", name="gone.patch")
    files = {"f": body(["other", *TEN[1:9], "another"]), "pkg/new/f": b"x\n", "g": b"1\n"}
    miss = TextEdit(name="miss", path="g", op="replace", text="2", new="3")
    error = failing(files, plugin("a", two, gone), plugin("b", miss, change(6, "six", name="b.patch"), after=("a",)))
    found = [(f["plugin"], f["patch"], f["file"], f.get("hunk"), f["reason"]) for f in error.details["failures"]]
    assert found == [
        ("a", "two.patch", "f", 1, "patch-does-not-apply"),
        ("a", "two.patch", "f", 3, "patch-does-not-apply"),
        ("a", "gone.patch", "pkg/old/f", None, "patch-missing-file"),
        ("b", "miss", "g", None, "edit-count"),
        ("b", "b.patch", "f", 1, "patch-does-not-apply"),
    ]
    assert error.reason == "patch-does-not-apply"
    assert error.hint
    assert error.details["failures"][2]["similar"] == ("pkg/new/f", "f")
    assert all(text in error.message for text in ("hunk 3: line 10", "| line 10", "| another", "similar: pkg/new/f"))


def test_what_upstream_has_already_is_named_so() -> None:
    done = change(3, "three")
    assert failing({"f": body([*TEN[:2], "three", *TEN[3:]])}, plugin("a", done)).reason == "patch-already-applied"
    added = git_diff("--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n")
    assert failing({"f": b"x\n"}, plugin("a", added)).reason == "patch-already-applied"
    assert failing({"f": b"y\n"}, plugin("a", added)).reason == "patch-does-not-apply"


@pytest.mark.parametrize(
    ("patch", "content", "says"),
    [
        (change(10, "x"), [*TEN, "more"], "matches at line 7, but must be at the end of the file"),
        (change(1, "x"), ["more", *TEN], "matches at line 2, but must be at the beginning of the file"),
        (change(5, "x"), ["other"], "none of the hunk's lines is in the file"),
        (git_diff("--- a/f\n+++ b/f\n@@ -1,0 +2 @@\n+x\n"), TEN, "adds lines without context"),
        (
            git_diff("--- a/f\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-line 1\n-line 2\n"),
            TEN,
            "must be at the beginning and end",
        ),
    ],
)
def test_a_failed_hunk_says_what_keeps_it_from_matching(patch: Patch, content: list[str], says: str) -> None:
    error = failing({"f": body(content)}, plugin("a", patch))
    assert says in error.message


def test_line_ends_count_and_are_shown() -> None:
    error = failing({"f": body(TEN).replace(b"line 5\n", b"line 5\r\n")}, plugin("a", change(6, "six")))
    assert error.details["failures"][0]["found"].startswith("line 5\\r\n")
    no_newline = git_diff("--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-a\n+b\n c\n\\ No newline at end of file\n")
    assert run({"f": b"a\nc"}, plugin("a", no_newline)).changes == {"f": File(b"b\nc")}
    assert (
        failing({"f": b"a\nc\n"}, plugin("a", no_newline))
        .details["failures"][0]["expected"]
        .endswith("newline at end)")
    )


def conflict(*contributions: Contribution, files: dict[str, bytes] | None = None) -> tuple[str, ...]:
    """Return the plugin that fails and those that are in its way."""
    error = failing(files or {"f": body(TEN)}, *contributions)
    assert error.reason == "patch-conflict"
    (failure,) = error.details["failures"]
    assert all(name in error.message for name in (failure["plugin"], *failure["others"]))
    return (failure["plugin"], *failure["others"])


AFTER_FIVE = [*TEN[:5], "five and a half", *TEN[5:]]
WITHOUT_FIVE = [*TEN[:4], *TEN[5:]]


@pytest.mark.parametrize(
    ("first", "second", "declared"),
    [
        pytest.param(change(4, "four"), change(6, "6", old=[*TEN[:3], "four", *TEN[4:]]), True, id="context"),
        pytest.param(change(4, "four"), change(6, "six"), False, id="context that is gone"),
        pytest.param(diff(TEN, WITHOUT_FIVE), change(6, "7", old=WITHOUT_FIVE), True, id="gap inside of context"),
        pytest.param(diff(TEN, WITHOUT_FIVE), change(6, "six"), False, id="removed context"),
        pytest.param(diff(TEN, AFTER_FIVE), diff(TEN, AFTER_FIVE), False, id="the same insertion"),
        pytest.param(change(5, "five"), change(5, "five"), False, id="the same change"),
        pytest.param(diff(TEN, [*TEN, "a"]), diff(TEN, [*TEN, "b"]), False, id="both at the end"),
    ],
)
def test_lines_of_another_plugin_are_touched_only_after_it(first: Patch, second: Patch, declared: bool) -> None:
    """``declared`` is whether the second applies when it says that it comes after the first."""
    assert conflict(plugin("a", first), plugin("b", second)) == ("b", "a")
    for after in (("a",), ("*",)):
        both = plugin("a", first), plugin("b", second, after=after)
        if declared:
            assert run({"f": body(TEN)}, *both).touched == {"f": (("a", "x.patch"), ("b", "x.patch"))}
        else:
            assert failing({"f": body(TEN)}, *both).reason != "patch-conflict"


@pytest.mark.parametrize("later", [change(5, "V"), TextEdit(name="e", path="f", op="replace", text="line 5", new="V")])
def test_what_does_not_apply_names_earlier_changes_that_it_may_build_on(later: Patch | TextEdit) -> None:
    early = TextEdit(name="five", path="f", op="replace", text="line 5", new="five")
    for late in (plugin("mine", later, after=("*",)), plugin("more", later)):
        error = failing({"f": body(TEN)}, plugin("more", early), late)
        assert error.reason in ("patch-does-not-apply", "edit-count")
        assert "lines were changed before by more (five)" in error.message
        assert error.details["failures"][0]["others"] == ("more",)


def test_neighbours_do_not_conflict() -> None:
    """Context of one plugin may border on the lines of another."""
    first, second = diff(TEN, [*TEN[:2], *TEN[3:]], context=1), change(8, "8")
    assert not failing_reasons(plugin("a", first), plugin("b", second))
    assert not failing_reasons(plugin("a", change(1, "1")), plugin("b", change(9, "9")))


def failing_reasons(*contributions: Contribution) -> list[str]:
    try:
        run({"f": body(TEN)}, *contributions)
    except PatchError as error:
        return [failure["reason"] for failure in error.details["failures"]]
    return []


def test_a_plugin_may_change_its_own_lines() -> None:
    again = change(4, "iv", old=[*TEN[:3], "four", *TEN[4:]], name="2.patch")
    assert run({"f": body(TEN)}, plugin("a", change(4, "four"), again)).changes["f"] == File(
        body([*TEN[:3], "iv", *TEN[4:]])
    )


@pytest.mark.parametrize(
    "item",
    [
        TextEdit(name="e", path="f", op="replace", text="four", new="4"),
        TextEdit(name="e", path="f", op="delete-lines", text="line 4"),
        TextEdit(name="e", path="f", op="delete-lines", text="line 3\nfour"),
        TextEdit(name="e", path="f", op="insert-after", text="four", new="x"),
        TextEdit(name="e", path="f", op="insert-after", text="line 8", new="x"),
        TextEdit(name="e", path="f", op="delete-file"),
        TextEdit(name="e", path="gone", op="replace", text="x", new="y"),
    ],
)
def test_edits_conflict_like_patches(item: TextEdit) -> None:
    first = diff(TEN, [*TEN[:3], "four", *TEN[4:8], "line 10"])
    gone = TextEdit(name="gone", path="gone", op="delete-file")
    assert conflict(plugin("a", first, gone), plugin("b", item), files={"f": body(TEN), "gone": b"x\n"}) == ("b", "a")


def test_files_of_another_plugin_are_its_own() -> None:
    add = git_diff("--- /dev/null\n+++ b/g\n@@ -0,0 +1 @@\n+x\n")
    delete = git_diff("--- a/g\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n")
    assert conflict(plugin("a", add), plugin("b", add)) == ("b", "a")
    assert conflict(plugin("a", add), plugin("b", delete)) == ("b", "a")
    assert conflict(plugin("a", delete), plugin("b", delete), files={"g": b"x\n"}) == ("b", "a")
    assert conflict(plugin("a", delete), plugin("b", add), files={"g": b"x\n"}) == ("b", "a")
    result = run({}, plugin("a", add), plugin("b", delete, after=("a",)))
    assert (result.changes, list(result.touched)) == ({}, ["g"])


def test_context_that_stays_keeps_its_owner() -> None:
    """A third plugin that touches context of the first patch's hunk touches nobody's lines."""
    third = diff(TEN[5:], [*TEN[5:7], "eight", *TEN[8:]], context=1)
    assert not failing_reasons(plugin("a", change(5, "five")), plugin("b", third))


def test_a_file_and_a_folder_of_one_name_are_refused() -> None:
    add = "--- /dev/null\n+++ b/{}\n@@ -0,0 +1 @@\n+x\n"
    for files, path, other in (({"a": b""}, "a/b/c", "a"), ({"a/b/c": b""}, "a/b", "a/b/")):
        error = failing(files, plugin("p", git_diff(add.format(path))))
        assert error.reason == "patch-does-not-apply"
        assert f"{path} cannot be beside {other}" in error.message
    delete = "--- a/a/b\n+++ /dev/null\n@@ -1 +0,0 @@\n-y\n"
    swapped = plugin("p", git_diff(delete + add.format("a")))
    assert run({"a/b": b"y\n"}, swapped).changes == {"a": File(b"x\n"), "a/b": None}
    assert "a cannot be beside a/" in failing({"a/b": b"y\n", "a/c": b""}, swapped).message


def test_a_renamed_file_keeps_mode_and_owners() -> None:
    rename = git_diff("diff --git a/f b/g\nsimilarity index 100%\nrename from f\nrename to g\n", name="r.patch")
    tree = DictTree({"f": File(body(TEN), 0o755)})
    one = plugin("a", change(5, "five"), rename)
    edit = TextEdit(name="e", path="g", op="replace", text="line 9", new="9")
    assert apply(tree, [one, plugin("b", edit)]).changes["g"] == File(
        body([*TEN[:4], "five", *TEN[5:8], "9", "line 10"]), 0o755
    )
    touching = TextEdit(name="e", path="g", op="replace", text="five", new="5")
    assert conflict(one, plugin("b", touching)) == ("b", "a")
    assert conflict(one, plugin("b", change(9, "9"))) == ("b", "a")


def test_renames_and_copies_read_the_tree_before_their_patch() -> None:
    swap = "diff --git a/{0} b/{1}\nsimilarity index 100%\n{2} from {0}\n{2} to {1}\n"
    both = git_diff(swap.format("a", "b", "rename") + swap.format("b", "a", "rename"))
    assert run({"a": b"1\n", "b": b"2\n"}, plugin("p", both)).changes == {"a": File(b"2\n"), "b": File(b"1\n")}
    copy = git_diff(swap.format("a", "c", "copy"))
    assert run({"a": b"1\n"}, plugin("p", copy)).changes == {"c": File(b"1\n")}
    assert failing({"a": b"1\n", "c": b"1\n"}, plugin("p", copy)).reason == "patch-does-not-apply"


def test_modes_change_only_where_the_patch_says_so() -> None:
    mode = git_diff("diff --git a/f b/f\nold mode 100644\nnew mode 100755\n")
    assert run({"f": b""}, plugin("p", mode)).changes == {"f": File(b"", 0o755)}


def test_failures_leave_other_patches_to_be_checked_on_what_did_apply() -> None:
    bad = diff(TEN, ["1", *TEN[1:8], "nine", "line 10"], context=1, name="1.patch")
    good = change(9, "ix", old=[*TEN[:8], "nine", "line 10"], name="2.patch")
    error = failing({"f": body(["other", *TEN[1:]])}, plugin("p", bad, good))
    assert [failure["patch"] for failure in error.details["failures"]] == ["1.patch"]
