"""The ledger: read strictly, and held against its series."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from k8sbuild.errors import PatchError
from k8sbuild.patching.ledger import Entry, check_ledger, parse_ledger
from k8sbuild.patching.series import series_names

FULL = b"""# why
["a.patch"]
why = "it fell over"
upstream = "none: not reported"
applies-to = ">=1.31,<1.32"
owner = "kine"
expires = 2027-06-30
test = "TestIt"
"""
ENTRY = Entry(
    patch="a.patch",
    why="it fell over",
    upstream="none: not reported",
    applies_to=">=1.31,<1.32",
    owner="kine",
    expires=date(2027, 6, 30),
    test="TestIt",
)


def test_reads_every_key() -> None:
    assert parse_ledger("ledger.toml", FULL) == {"a.patch": ENTRY}


def test_order_is_that_of_the_file() -> None:
    assert list(parse_ledger("l", b'["b"]\n["a"]\n')) == ["b", "a"]


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b'["a"]\nwhy = "x\n', 2, "Illegal character"),
        (b'["a"]\nwhy = "x', 2, "Unterminated"),
        (b'["a"]\nwhy = "\xff"\n', 2, "UTF-8"),
        (b'["a"]\nwhy = "x"\n["b"]\n\nwhi = "y"\n', 5, "unknown key 'whi'; did you mean 'why'?"),
        (b'["a"]\nexpires = 2027-06-30\n["b"]\nexpires = "2027-06-30"\n', 4, "expires is no date"),
        (b'["a"]\nexpires = 2027-06-30T10:00:00\n', 2, "expires is no date"),
        (b'\n["a"]\nowner = ["x"]\n', 3, "owner is no text"),
        (b'["a"]\napplies-to = "1.31"\n', 2, "'1.31' is no specifier"),
        (b'["b"]\nwhy = "x"\n\n[a.patch]\nwhy = "x"\n', 4, "has tables in it"),
        (b'\nwhy = "x"\n', 2, "'why' is no table"),
    ],
)
def test_a_mistake_is_named_with_its_line(data: bytes, line: int, words: str) -> None:
    with pytest.raises(PatchError) as caught:
        parse_ledger("kine/ledger.toml", data)
    assert caught.value.reason == "ledger-syntax"
    assert caught.value.message.startswith(f"kine/ledger.toml:{line}: ")
    assert words in caught.value.message
    assert caught.value.details == {"file": "kine/ledger.toml", "line": line}
    assert caught.value.hint


def test_a_whole_ledger_has_no_findings() -> None:
    assert check_ledger(["a.patch"], {"a.patch": ENTRY}, "v1.31.4", date(2027, 6, 30)) == []


@pytest.mark.parametrize(
    ("version", "today", "expected"),
    [
        ("v1.32.0", None, [("ledger-applies-to", "a.patch: applies to >=1.31,<1.32, the source is v1.32.0")]),
        ("1f0c2d", None, [("ledger-applies-to", "a.patch: applies to >=1.31,<1.32, the source is 1f0c2d")]),
        ("v1.31.4", date(2027, 7, 1), [("ledger-expired", "a.patch: expired on 2027-06-30")]),
        ("v1.31.4", None, []),
    ],
)
def test_version_and_day(version: str, today: date | None, expected: list[tuple[str, str]]) -> None:
    findings = check_ledger(["a.patch"], {"a.patch": ENTRY}, version, today)
    assert [(finding.reason, str(finding)) for finding in findings] == expected


def test_missing_empty_and_orphan_entries_in_the_order_of_the_series() -> None:
    entries = parse_ledger("l", b'["c.patch"]\n["a.patch"]\nwhy = " "\n')
    findings = check_ledger(["b.patch", "a.patch"], entries, "v1.31.4", None)
    empty = [("ledger-empty", "a.patch", f"{key} is empty") for key in ("why", "upstream", "applies-to", "owner")]
    assert [(finding.reason, finding.patch, finding.message) for finding in findings] == [
        ("ledger-missing", "b.patch", "has no entry in the ledger"),
        *empty,
        ("ledger-orphan", "c.patch", "is in the ledger, but not in the series; did you mean 'b.patch'?"),
    ]


ROOT = Path(__file__).parents[2] / "patches"
#: A plugin may have patches for one release that are not for another: each is for one of these.
VERSIONS = {
    "kine": ("v0.16.4", "v0.16.5", "v0.16.6", "v0.17.0", "v0.17.1", "v0.17.5"),
    "kube-network-policies": ("v0.7.0",),
    "kubernetes": ("v1.31.4",),
}


@pytest.mark.parametrize("folder", sorted(path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("*/*/series")))
def test_the_ledgers_of_this_repository_are_whole(folder: str) -> None:
    files = {path.name: path.read_bytes() for path in (ROOT / folder).iterdir()}
    entries = parse_ledger(f"{folder}/ledger.toml", files["ledger.toml"])
    names = series_names(folder, files)
    found = [
        {(finding.reason, finding.patch) for finding in check_ledger(names, entries, version, None)}
        for version in VERSIONS[folder.split("/")[1]]
    ]
    assert set.intersection(*found) == set()
