"""A folder of patches: its order, and what is wrong with it."""

from __future__ import annotations

import pytest

from k8sbuild.errors import PatchError
from k8sbuild.patching.series import read_series, series_names

DIFF = b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-old\n+new\n"
PATCHES = {"0001-a.patch": DIFF, "0002-b.patch": DIFF}


def folder(series: bytes) -> dict[str, bytes]:
    return {"series": series, "ledger.toml": b"", **PATCHES}


@pytest.mark.parametrize(
    "series",
    [
        b"0002-b.patch\n0001-a.patch\n",
        b"# why\n\n  0002-b.patch\t# first\r\n0001-a.patch # last",
    ],
)
def test_the_series_file_gives_the_order(series: bytes) -> None:
    patches = read_series("kine", folder(series))
    assert [patch.name for patch in patches] == ["kine/0002-b.patch", "kine/0001-a.patch"]
    assert patches[0].files[0].hunks[0].new == [b"new\n"]


def test_without_a_series_file_the_order_is_alphabetical() -> None:
    files = {"b.patch": DIFF, "a.patch": DIFF, "README.md": b"", "sub/c.patch": DIFF}
    assert series_names("kine", files) == ("a.patch", "b.patch", "sub/c.patch")


def test_a_hash_inside_a_name_is_no_comment() -> None:
    assert series_names("kine", {"series": b"a#1.patch\n", "a#1.patch": DIFF}) == ("a#1.patch",)


def test_only_restricts_and_keeps_the_order() -> None:
    files = {**folder(b"0002-b.patch\n0001-a.patch\nc.patch\n"), "c.patch": b"no diff"}
    chosen = read_series("kine", files, only=["0001-a.patch", "0002-b.patch"])
    assert [patch.name for patch in chosen] == ["kine/0002-b.patch", "kine/0001-a.patch"]
    assert read_series("kine", files, only=[]) == ()


@pytest.mark.parametrize(
    ("files", "only", "reason", "words"),
    [
        (folder(b"0001-a.patch\n0002-bb.patch\n"), None, "series-missing-file", ("series:2:", "mean '0002-b.patch'")),
        (folder(b"0001-a.patch\n0002-b.patch\n"), ["0001-aa.patch"], "series-missing-file", ("mean '0001-a.patch'",)),
        (folder(b"0001-a.patch\n"), None, "series-orphan", ("0002-b.patch",)),
        (folder(b"#\n"), None, "series-orphan", ("0001-a.patch, 0002-b.patch",)),
        (folder(b"0001-a.patch\n\n0001-a.patch\n"), None, "series-duplicate", ("series:3:", "line 1")),
        ({"a.patch": b"\n \n"}, None, "series-empty-patch", ("kine/a.patch",)),
        ({"a.patch": b"only words\n"}, None, "patch-malformed", ("kine/a.patch:1",)),
    ],
)
def test_what_is_wrong_is_named(
    files: dict[str, bytes], only: list[str] | None, reason: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(PatchError) as caught:
        read_series("kine", files, only=only)
    assert caught.value.reason == reason
    assert caught.value.hint
    assert all(word in caught.value.message for word in words), caught.value.message
    assert caught.value.details["patch"].startswith("kine/")
