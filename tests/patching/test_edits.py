"""Declarative edits: what they find, and that the count is exact."""

from __future__ import annotations

import pytest

from k8sbuild.errors import PatchError
from k8sbuild.patching.apply import Applied, Contribution, apply
from k8sbuild.patching.edits import Op, TextEdit
from k8sbuild.patching.tree import DictTree, File

GO = b"""package x

import "fmt"

import (
\t// kept
\t"os" // why
\tv1 "k8s.io/api/v1"
\t_ `k8s.io/x`
)

var list = []string{
\t"os",
}

const (
\tquoted = `
"os"
`
)
"""


def edit(op: Op, text: str = "", new: str = "", *, path: str = "f", count: int = 1) -> TextEdit:
    return TextEdit(name="e", path=path, op=op, text=text, new=new, count=count)


def run(files: dict[str, bytes], *edits: TextEdit) -> Applied:
    tree = DictTree({path: File(data) for path, data in files.items()})
    return apply(tree, [Contribution(plugin="p", after=frozenset(), items=edits)])


def refused(files: dict[str, bytes], *edits: TextEdit) -> PatchError:
    with pytest.raises(PatchError) as caught:
        run(files, *edits)
    return caught.value


@pytest.mark.parametrize(
    ("item", "before", "after"),
    [
        (edit("delete-lines", "b"), b"a\nb\nc\n", b"a\nc\n"),
        (edit("delete-lines", "b\n", count=2), b"b\na b\nb", b"a b\n"),
        (edit("delete-lines", "a\nb", count=2), b"a\nb\na\nb\na\n", b"a\n"),
        (edit("delete-lines", "b\r"), b"a\r\nb\r\n", b"a\r\n"),
        (edit("insert-after", "a", "x"), b"a\nb\n", b"a\nx\nb\n"),
        (edit("insert-after", "b", "x\ny\n"), b"a\nb", b"a\nb\nx\ny"),
        (edit("insert-before", "a\nb", "x"), b"a\nb\n", b"x\na\nb\n"),
        (edit("insert-before", "b", "x"), b"a\nb", b"a\nx\nb"),
        (edit("replace", "a", "bb", count=3), b"aa\nca\n", b"bbbb\ncbb\n"),
        (edit("replace", "b\nc", "x", count=2), b"ab\ncb\ncd\n", b"axxd\n"),
        (edit("replace", "b\n"), b"ab\nc\n", b"ac\n"),
        (edit("replace", "ab\n"), b"ab\nc\n", b"c\n"),
        (edit("replace", "c\n", "c"), b"ab\nc\n", b"ab\nc"),
        (edit("replace", "ü\rx", "ö"), "a ü\rx\n".encode(), "a ö\n".encode()),
        (edit("drop-import", "fmt"), GO, GO.replace(b'import "fmt"\n', b"")),
        (edit("drop-import", "os"), GO, GO.replace(b'\t"os" // why\n', b"")),
        (edit("drop-import", "k8s.io/api/v1"), GO, GO.replace(b'\tv1 "k8s.io/api/v1"\n', b"")),
        (edit("drop-import", "k8s.io/x"), GO, GO.replace(b"\t_ `k8s.io/x`\n", b"")),
    ],
)
def test_edits_change_what_they_find(item: TextEdit, before: bytes, after: bytes) -> None:
    result = run({"f": before}, item)
    assert result.changes == {"f": File(after)}
    assert result.touched == {"f": (("p", "e"),)}


def test_delete_file_and_globs_count_over_all_files() -> None:
    files = {"a/x.go": b"1\n", "a/b/y.go": b"1\n", "a/z.txt": b"1\n", "w.go": b"1\n"}
    assert run(files, edit("delete-file", path="a/**/*.go", count=2)).changes == {"a/x.go": None, "a/b/y.go": None}
    assert run(files, edit("replace", "1", "2", path="*.go")).changes == {"w.go": File(b"2\n")}
    assert sorted(run(files, edit("replace", "1", "2", path="a/**", count=3)).changes) == [
        "a/b/y.go",
        "a/x.go",
        "a/z.txt",
    ]


@pytest.mark.parametrize(
    ("item", "found", "says"),
    [
        (edit("replace", "1", "2", path="*"), 3, "replace finds: f:1, f:2, g:1"),
        (edit("delete-lines", "2"), 0, "f has the text only inside of other lines, or indented otherwise"),
        (edit("delete-lines", "9"), 0, "delete-lines finds nothing in 1 file"),
        (edit("replace", "1", path="h/g"), 0, "no file has this path; similar: g"),
        (edit("delete-file", path="f*", count=2), 1, "delete-file finds: f:1"),
        (edit("replace", ""), 0, "replace finds nothing in 1 file"),
    ],
)
def test_a_wrong_count_says_what_was_found(item: TextEdit, found: int, says: str) -> None:
    error = refused({"f": b"1\n1 2\n", "g": b"1"}, item)
    (failure,) = error.details["failures"]
    assert (error.reason, failure["expected"], failure["found"]) == ("edit-count", item.count, found)
    assert says in failure["problem"]
    assert says in error.message


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("go.mod", "patch-go-mod"),
        ("*", "patch-go-mod"),
        ("vendor/x", "patch-outside-tree"),
        ("../f", "patch-unsafe-path"),
    ],
)
def test_edits_stay_off_what_patches_may_not_touch(path: str, reason: str) -> None:
    assert refused({"go.mod": b"1\n", "vendor/x": b"1\n"}, edit("replace", "1", "2", path=path)).reason == reason


def test_edits_see_what_earlier_ones_left() -> None:
    result = run({"f": b"1\n"}, edit("replace", "1", "2"), edit("replace", "2", "1"))
    assert (result.changes, result.touched) == ({}, {"f": (("p", "e"), ("p", "e"))})


def test_a_glob_does_not_see_removed_files() -> None:
    files = {"a": b"1\n", "b": b"1\n"}
    result = run(files, edit("delete-file", path="a"), edit("replace", "1", "2", path="*"))
    assert result.changes == {"a": None, "b": File(b"2\n")}
