"""Folders that are known as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from k8sbuild.store.whole import is_known, remember
from k8sbuild.testing.files import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TREE = "sha256:1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out a toolchain that is remembered."""
    monkeypatch.setattr("k8sbuild.store.whole._RACY_NS", 0)
    made = write(tmp_path / "go1.25.5", {"bin/go": "go\n", "VERSION": "go1.25.5\n"})
    remember(made, TREE)
    return made


def test_a_folder_is_known_as_the_tree_that_it_was_remembered_as(folder: Path) -> None:
    assert is_known(folder, TREE)
    assert not is_known(folder, "sha256:2")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "bin/go").write_text("no\n"),
        lambda folder: (folder / "bin/go").unlink(),
        lambda folder: (folder / "more").write_text(""),
        lambda folder: (folder / "bin/go").chmod(0o700),
        lambda folder: folder.rename(folder.with_name("elsewhere")),
        lambda folder: folder.with_name("go1.25.5.whole").write_text("["),
    ],
    ids=["content", "removed", "added", "mode", "moved", "damaged note"],
)
def test_what_changed_is_not_known(folder: Path, change: Callable[[Path], object]) -> None:
    change(folder)
    assert not is_known(folder, TREE)


def test_what_may_change_again_without_a_trace_is_not_remembered(tmp_path: Path) -> None:
    made = write(tmp_path / "go1.25.5", {"bin/go": "go\n"})
    remember(made, TREE)
    assert not is_known(made, TREE)
