"""A folder of patches that is changed: what is written, and that it can be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.patching.add import SeriesFolder
from k8sbuild.patching.ledger import parse_ledger

if TYPE_CHECKING:
    from pathlib import Path

LEDGER = """\
["0001-a.patch"]
why = "it fell"
applies-to = ">=1.31,<1.32"  # as far as seen

["0002-b.patch"]
why = "so did this"
applies-to = ">=1.31,<1.32"
"""


def series(folder: Path, version: str) -> SeriesFolder:
    (folder / "ledger.toml").write_text(LEDGER)
    (folder / "0001-a.patch").write_text("old")
    (folder / "0002-b.patch").write_text("old")
    return SeriesFolder(folder=folder, owner="me", version=version)


def test_a_patch_for_a_new_minor_applies_to_it_from_now_on(tmp_path: Path) -> None:
    assert series(tmp_path, "v1.32.1").replace("0001-a.patch", b"new").read_bytes() == b"new"
    entries = parse_ledger("ledger.toml", (tmp_path / "ledger.toml").read_bytes())
    assert [entry.applies_to for entry in entries.values()] == [">=1.32.1,<1.33", ">=1.31,<1.32"]
    assert entries["0001-a.patch"].why == "it fell"


def test_a_ledger_that_covers_the_version_stays_as_it_is(tmp_path: Path) -> None:
    series(tmp_path, "v1.31.9").replace("0002-b.patch", b"new")
    assert (tmp_path / "ledger.toml").read_text() == LEDGER


def test_what_was_replaced_is_taken_back(tmp_path: Path) -> None:
    changed = series(tmp_path, "v1.32.1")
    changed.replace("0001-a.patch", b"new")
    changed.restore()
    assert ((tmp_path / "0001-a.patch").read_text(), (tmp_path / "ledger.toml").read_text()) == ("old", LEDGER)
