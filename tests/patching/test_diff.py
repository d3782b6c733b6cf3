"""Patches that are written: git takes them, the parser reads them, and they say what changed."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patching.trees import Files, read, write

from k8sbuild.errors import PatchError
from k8sbuild.patching.diff import make
from k8sbuild.patching.parse import parse
from k8sbuild.patching.tree import DictTree, File

if TYPE_CHECKING:
    from k8sbuild.patching.model import Patch


def diff(old: Files, new: Files) -> bytes:
    return make(DictTree(old), DictTree(new), [*new, *old])


def git_apply(old: Files, patch: bytes) -> Files:
    """Apply with git, in a folder outside of any repository."""
    with tempfile.TemporaryDirectory() as name:
        env = {"PATH": "/usr/bin:/bin", "HOME": name, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CEILING_DIRECTORIES": name}
        write(Path(name), old)
        done = subprocess.run(["git", "apply", "-"], cwd=name, env=env, input=patch, capture_output=True)
        assert done.returncode == 0, done.stderr.decode() + patch.decode("utf-8", "replace")
        return read(Path(name))


def by_position(old: Files, patch: Patch) -> Files:
    """Apply what was parsed at exactly the lines it names."""
    files = {path: file for path, file in old.items() if path not in patch.paths}
    for part in patch.files:
        before = old[part.old] if part.old else File(b"")
        lines = before.data.split(b"\n")
        lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
        for hunk in reversed(part.hunks):
            start = hunk.old_start - (hunk.old_count > 0)
            assert lines[start : start + hunk.old_count] == hunk.old
            lines[start : start + hunk.old_count] = hunk.new
        if part.new:
            files[part.new] = File(b"".join(lines), part.new_mode or before.mode)
    return files


LINES = st.sampled_from(
    [b"a\n", b"b\n", b"\n", b"}\n", b"c\r\n", b"d\re\n", b"-- x\n", b"++ y\n", b"@@ -1 +1 @@\n", b"\xff\x85\x0c\n"]
)
DATA = st.builds(lambda lines, end: b"".join(lines) + end, st.lists(LINES, max_size=24), st.sampled_from([b"", b"end"]))
FILES = st.builds(File, DATA, st.sampled_from([0o644, 0o755]))
NAMES = st.sampled_from(
    ["a", "b c", "b c b/b c", "d/x", "e/f/y z", "ä\tö", 'q"\\', "new\nline", " lead", "trail ", "\udcff"]
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Files, Files]:
    """Draw two trees: the second keeps, edits, moves and removes files of the first, and adds some."""
    old = draw(st.dictionaries(NAMES, FILES, max_size=5))
    new = draw(st.dictionaries(NAMES, FILES, max_size=2))
    for file in old.values():
        if draw(st.booleans()):
            lines = file.data.split(b"\n")
            lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from([b"new", b"a", b"}"])))
            kept = draw(st.sampled_from([file, File(file.data, 0o755), File(b"\n".join(lines), file.mode)]))
            new[draw(NAMES)] = kept
    return old, new


@given(pairs())
def test_git_and_the_parser_take_what_is_written(trees: tuple[Files, Files]) -> None:
    old, new = trees
    patch = diff(old, new)
    if old == new:
        assert patch == b""
        return
    assert git_apply(old, patch) == new
    assert by_position(old, parse("x.patch", patch)) == new


def test_a_file_becomes_a_folder_and_back() -> None:
    flat, deep = (
        {"a": File(b"1\n"), "a.b": File(b"2\n")},
        {"a/x": File(b"1\n"), "a.b": File(b"2\n"), "a/y": File(b"3\n")},
    )
    assert git_apply(flat, diff(flat, deep)) == deep
    assert git_apply(deep, diff(deep, flat)) == flat


def test_the_form_is_gits() -> None:
    old = {"m": File(b"".join(b"%d\n" % n for n in range(1, 21))), "gone": File(b"x", 0o755), "from": File(b"same\n")}
    new = {
        "m": File(old["m"].data.replace(b"\n5\n", b"\nfive\n").replace(b"\n16\n", b"\n"), 0o755),
        "sp ace": File(b""),
        "to/from": File(b"same\n"),
    }
    assert diff(old, new).decode() == (
        "diff --git a/gone b/gone\ndeleted file mode 100755\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n"
        "-x\n\\ No newline at end of file\n"
        "diff --git a/m b/m\nold mode 100644\nnew mode 100755\n--- a/m\n+++ b/m\n"
        "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
        "@@ -13,7 +13,6 @@\n 13\n 14\n 15\n-16\n 17\n 18\n 19\n"
        "diff --git a/sp ace b/sp ace\nnew file mode 100644\n"
        "diff --git a/from b/to/from\nsimilarity index 100%\nrename from from\nrename to to/from\n"
    )


def test_hunks_join_where_their_context_touches() -> None:
    def hunks(apart: int) -> int:
        old = [b"%d\n" % n for n in range(30)]
        new = [*old[:5], b"x\n", *old[6 : 6 + apart], b"y\n", *old[7 + apart :]]
        return len(parse("x", diff({"f": File(b"".join(old))}, {"f": File(b"".join(new))})).files[0].hunks)

    assert [hunks(6), hunks(7)] == [1, 2]


def test_a_rename_prefers_the_same_file_name_and_uses_a_source_once() -> None:
    one = File(b"same\n")
    parts = parse("x", diff({"a/k": one, "a/l": one}, {"b/l": one, "b/m": one, "b/n": one})).files
    assert [(part.kind, part.old, part.new) for part in parts] == [
        ("rename", "a/l", "b/l"),
        ("rename", "a/k", "b/m"),
        ("add", None, "b/n"),
    ]


def test_only_the_named_paths_are_looked_at() -> None:
    old, new = DictTree({"a": File(b"1\n"), "b": File(b"1\n")}), DictTree({"a": File(b"2\n"), "b": File(b"2\n")})
    assert make(old, new, ["b", "b"]) == make(old, new, ["b"])
    assert parse("x", make(old, new, ["b"])).paths == {"b"}


def test_nul_bytes_are_refused_by_name_unless_only_name_or_mode_changes() -> None:
    with pytest.raises(PatchError, match=r"^img\.bin holds NUL bytes") as caught:
        diff({"img.bin": File(b"a\n")}, {"img.bin": File(b"a\n\0\n")})
    assert (caught.value.reason, caught.value.details) == ("patch-unsupported", {"file": "img.bin"})
    old, new = {"a.bin": File(b"\0")}, {"b.bin": File(b"\0", 0o755)}
    assert git_apply(old, diff(old, new)) == new


@pytest.mark.parametrize(("path", "reason"), [("x/go.mod", "patch-go-mod"), ("vendor/x", "patch-outside-tree")])
def test_what_no_patch_may_name_is_refused_only_when_it_changed(path: str, reason: str) -> None:
    assert diff({path: File(b"1\n")}, {path: File(b"1\n")}) == b""
    with pytest.raises(PatchError) as caught:
        diff({path: File(b"1\n")}, {path: File(b"2\n")})
    assert caught.value.reason == reason


def test_a_tab_ends_a_name_with_spaces() -> None:
    assert b"\n--- a/b c\t\n+++ b/b c\t\n" in diff({"b c": File(b"1\n")}, {"b c": File(b"2\n")})


def test_an_empty_file_is_not_renamed() -> None:
    parts = parse("x", diff({"a": File(b"")}, {"b": File(b"")})).files
    assert [part.kind for part in parts] == ["delete", "add"]
