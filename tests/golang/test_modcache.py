"""Extracted modules that somebody, or the disk, changed."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from k8sbuild.golang.dirhash import hash1
from k8sbuild.golang.modcache import check, extracted
from k8sbuild.testing.files import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = "example.org/Dep@v1.1.0"
FILES = {"dep.go": "package dep\n", "sub/x.go": "package sub\n"}
SUMS = {NAME: hash1((f"{NAME}/{path}", sha256(text.encode()).hexdigest()) for path, text in FILES.items())}


@pytest.fixture
def modcache(tmp_path: Path) -> Path:
    """Extract a module, long enough ago for its state to be trusted."""
    zipped = {"cache/download/example.org/!dep/@v/v1.1.0.zip": "what it was extracted from"}
    extracted = {f"example.org/!dep@v1.1.0/{path}": text for path, text in FILES.items()}
    return write(tmp_path / "modcache", extracted | zipped)


def changed(folder: Path) -> None:
    (folder / "dep.go").write_text("package evil\n")


def changed_with_its_times(folder: Path) -> None:
    before = (folder / "dep.go").stat()
    changed(folder)
    os.utime(folder / "dep.go", ns=(before.st_atime_ns, before.st_mtime_ns))


def added(folder: Path) -> None:
    (folder / "more.go").write_text("package dep\n")


def removed(folder: Path) -> None:
    (folder / "dep.go").unlink()


def linked(folder: Path) -> None:
    (folder / "dep.go").rename(folder.parent / "elsewhere.go")
    (folder / "dep.go").symlink_to("../elsewhere.go")


@pytest.fixture(params=["here", "process", "broken process"])
def looking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at modules in this process, in another one, or in another one that fails."""
    if request.param != "here":
        monkeypatch.setattr("k8sbuild.golang.modcache._FEW", 0)
    if request.param == "broken process":
        monkeypatch.setattr("sys.executable", "/bin/false")


@pytest.mark.usefixtures("looking")
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("change", [changed, changed_with_its_times, added, removed, linked])
def test_a_changed_module_is_removed_with_its_zip(
    modcache: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], known: bool
) -> None:
    monkeypatch.setattr("k8sbuild.golang.modcache._RACY_NS", 0)
    folder = modcache / "example.org/!dep@v1.1.0"
    if known:
        assert check(modcache, SUMS) == []
        assert modcache.with_name("modcache.index").exists()
    change(folder)
    folder.chmod(0o555)
    assert check(modcache, SUMS) == [NAME]
    assert not folder.exists()
    assert [path.name for path in modcache.rglob("*.*") if path.is_file()] in ([], ["elsewhere.go"])
    assert check(modcache, SUMS) == []


def test_what_is_known_is_not_read_again(modcache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k8sbuild.golang.modcache._RACY_NS", 0)
    check(modcache, SUMS)
    monkeypatch.setattr("k8sbuild.golang.modcache._digest", lambda _: pytest.fail("it is read"))
    assert check(modcache, SUMS) == []


def test_what_is_young_is_read_again(modcache: Path) -> None:
    check(modcache, SUMS)
    assert not modcache.with_name("modcache.index").exists()


def test_another_sum_and_a_damaged_index_mean_reading(modcache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k8sbuild.golang.modcache._RACY_NS", 0)
    check(modcache, SUMS)
    modcache.with_name("modcache.index").write_text("[")
    assert check(modcache, SUMS) == []
    assert check(modcache, {NAME: "h1:other="}) == [NAME]


def test_a_missing_folder_is_in_order(tmp_path: Path) -> None:
    assert check(tmp_path / "modcache", SUMS) == []


ZIP = "cache/download/example.org/!dep/@v/v1.1.0.zip"


@pytest.mark.parametrize(
    ("path", "gone", "asked"),
    [
        (ZIP, "", False),
        (ZIP, "example.org", True),
        (ZIP, f"{ZIP}hash", True),
        (ZIP.replace("v1.1.0", "v1.2.0"), "", True),
        (ZIP.replace(".zip", ".mod"), "", True),
        ("sums.json", "", True),
    ],
)
def test_go_asks_for_zips_that_it_has_not_extracted(modcache: Path, path: str, gone: str, asked: bool) -> None:
    write(modcache, {f"{ZIP}hash": "h1:…"})
    if gone:
        (modcache / gone).rename(modcache / "elsewhere")
    assert extracted(modcache, path) is not asked
