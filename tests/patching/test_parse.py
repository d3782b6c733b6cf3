"""The patch parser: what git writes is read, everything else is refused by name."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import PatchError
from k8sbuild.patching.names import name_field, quote
from k8sbuild.patching.parse import parse

if TYPE_CHECKING:
    from pathlib import Path

HUNK = "@@ -1 +1 @@\n-old\n+new\n"


def git(folder: Path, *argv: str) -> bytes:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    return subprocess.run(["git", *argv], cwd=folder, env=env, check=True, capture_output=True).stdout


def git_diff(folder: Path, old: dict[str, bytes], new: dict[str, bytes]) -> bytes:
    git(folder, "init", "-q")
    for files in (old, new):
        for path in folder.iterdir():
            if path.name != ".git":
                path.unlink()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        git(folder, "add", "-A")
        if files is old:
            git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "base")
    return git(folder, "diff", "--cached", "-M", "HEAD")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"a": b"", "b c": b"", "d": b"x\n"}, [("add", None, "a"), ("add", None, "b c"), ("add", None, "d")]),
        ({"a": b""}, {}, [("delete", "a", None)]),
        ({"a": b"1\n2\n3\n"}, {"ä\tb": b"1\n2\n3\n"}, [("rename", "a", "ä\tb")]),
        ({"ü b": b"1\n"}, {"ü b": b"2"}, [("modify", "ü b", "ü b")]),
        ({"a b_x": b"1\r\n2\r3\n"}, {"a b_x": b"1\r\n2\r4\r\n"}, [("modify", "a b_x", "a b_x")]),
    ],
)
def test_reads_what_git_writes(
    tmp_path: Path, old: dict[str, bytes], new: dict[str, bytes], expected: list[tuple[str, str | None, str | None]]
) -> None:
    patch = parse("x.patch", git_diff(tmp_path, old, new))
    assert [(part.kind, part.old, part.new) for part in patch.files] == expected
    for part in patch.files:
        for hunk in part.hunks:
            assert b"".join(hunk.old) == old.get(part.old or "", b"")
            assert b"".join(hunk.new) == new.get(part.new or "", b"")


def test_added_files_in_a_row_without_git_headers() -> None:
    data = b"".join(b"--- /dev/null\n+++ b/%s\n@@ -0,0 +1 @@\n+x\n" % name for name in (b"a", b"b"))
    assert [(part.kind, part.new) for part in parse("x", data).files] == [("add", "a"), ("add", "b")]


def test_removed_and_added_lines_that_look_like_names() -> None:
    data = b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n--- x\n+++ y\n z\n-- \n2.39.5\n"
    hunk = parse("x", data).files[0].hunks[0]
    assert (hunk.old, hunk.new) == ([b"-- x\n", b"z\n"], [b"++ y\n", b"z\n"])


def test_an_empty_context_line_may_lack_its_space() -> None:
    data = b"--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n\n-old\n+new\n"
    assert parse("x", data).files[0].hunks[0].old == [b"\n", b"old\n"]


def test_a_message_before_the_diff_is_kept() -> None:
    header = b"From: x\nSubject: y\n\n---\n f | 2 +-\n\n"
    assert parse("x", header + f"--- a/f\n+++ b/f\n{HUNK}".encode()).header == header


def test_reversed_undoes() -> None:
    part = parse("x", b"--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n").files[0]
    assert part.reversed().kind == "delete"
    assert part.reversed().hunks[0].old == [b"x\n"]
    assert part.reversed().reversed() == part


GIT = "diff --git a/f b/f\n"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("patch-malformed", ""),
        ("patch-malformed", "<html>not found</html>\n"),
        ("patch-malformed", "@@ -1 +1 @@\n-a\n+b\n"),
        ("patch-malformed", f"{GIT}--- a/f\n+++ b/f\n"),
        ("patch-malformed", f"{GIT}--- a/f\n+++ b/f\n@@ -1,2 +1 @@\n-a\n+b\n"),
        ("patch-malformed", f"{GIT}--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n+c\n"),
        ("patch-malformed", f"{GIT}--- a/f\n+++ b/f\n@@ -1 +1 @@\n a\n"),
        ("patch-malformed", f"{GIT}--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b"),
        ("patch-malformed", f"{GIT}--- a/f\r\n+++ b/f\r\n{HUNK}"),
        ("patch-malformed", f"{GIT}--- a/f\n+++ b/g\n{HUNK}"),
        ("patch-malformed", f"{GIT}index 1..2 100644\n"),
        ("patch-malformed", f"{GIT}new file mode 100644\n--- a/f\n+++ b/f\n{HUNK}"),
        ("patch-malformed", f"{GIT}--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n-a\n\\ No newline at end of file\n-b\n+c\n+d\n"),
        ("patch-malformed", "diff --git a/f b/g\nrename from f\n"),
        ("patch-malformed", f"--- f\n+++ f\n{HUNK}"),
        ("patch-unsupported", f"{GIT}index 1..2 100644\nGIT binary patch\nliteral 0\n"),
        ("patch-unsupported", f"{GIT}index 1..2 100644\nBinary files a/f and b/f differ\n"),
        ("patch-unsupported", "diff --cc f\nindex 1,2..3\n--- a/f\n+++ b/f\n@@@ -1,1 -1,1 +1,1 @@@\n"),
        ("patch-unsupported", f"{GIT}new file mode 120000\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n"),
        ("patch-unsupported", f"{GIT}index 1111111..2222222 160000\n--- a/f\n+++ b/f\n{HUNK}"),
        ("patch-go-mod", f"--- a/go.mod\n+++ b/go.mod\n{HUNK}"),
        ("patch-go-mod", f"--- a/staging/x/go.sum\n+++ b/staging/x/go.sum\n{HUNK}"),
        ("patch-go-mod", "diff --git a/f b/go.work\nrename from f\nrename to go.work\n"),
        ("patch-unsafe-path", f"--- a/../f\n+++ b/../f\n{HUNK}"),
        ("patch-unsafe-path", "diff --git a/f b/f\nrename from f\nrename to /etc/f\n"),
        ("patch-unsafe-path", f"--- a/.git/config\n+++ b/.git/config\n{HUNK}"),
    ],
)
def test_refused_by_name(reason: str, text: str) -> None:
    with pytest.raises(PatchError) as caught:
        parse("0001-x.patch", text.encode())
    assert caught.value.reason == reason
    assert caught.value.message.startswith("0001-x.patch:")
    assert caught.value.details["patch"] == "0001-x.patch"


@pytest.mark.parametrize("name", ["plain", "sp ace", "ä", 'q"uote', "back\\slash", "tab\tnl\n", "\udcff", "\x01"])
def test_quoting_round_trips(name: str) -> None:
    assert name_field(quote(name)) == name
