"""Locks between processes, leases, and what a collection removes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from k8sbuild.errors import StoreError
from k8sbuild.store import Result, Store, Tree
from k8sbuild.store.gc import gc
from k8sbuild.store.lease import lease
from k8sbuild.store.locks import is_held, lock

HOLD = """
import sys
from pathlib import Path
from k8sbuild.store.locks import lock
with lock(Path(sys.argv[1]), "the other build"):
    print("held", flush=True)
    sys.stdin.readline()
"""
DAY = 86400


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def add(store: Store, content: bytes, *, days_ago: float) -> Tree:
    tree = store.add_files({"file": (0o644, content)})
    fields = {"components": {}, "seconds": 0.0, "made": 0.0, "facts": {}}
    store.put_result(Result(key=content.decode(), step="s", tree=tree.digest, **fields))  # type: ignore[arg-type]
    used = time.time() - days_ago * DAY
    for path in (*store.layout.trees(), *store.layout.results(), *store.layout.blobs()):
        if path.stat().st_mtime > time.time() - 60:
            os.utime(path, (used, used))
    return tree


def test_waiter_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "key"
    told: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert is_held(path)

        def on_wait(text: str) -> None:
            told.append(text)
            other.kill()  # the kernel frees the lock of the dead

        with lock(path, "ours", on_wait=on_wait):
            assert is_held(path)
    assert len(told) == 1
    assert f"process {other.pid} " in told[0]
    assert "the other build" in told[0]
    assert not is_held(path)


def test_gc_by_age(store: Store) -> None:
    old, new = add(store, b"old", days_ago=9), add(store, b"new", days_ago=1)
    dry = gc(store, max_age_days=5, max_bytes=None, now=time.time(), dry_run=True)
    assert store.has(new.digest)
    assert store.layout.tree(old.digest).exists()
    report = gc(store, max_age_days=5, max_bytes=None, now=time.time())
    assert report.trees == dry.trees == (old.digest,)
    assert len(report.blobs) == len(report.results) == 1
    assert report.freed == dry.freed > 0
    assert not store.has(old.digest)
    assert store.get_result("new") is not None


def test_gc_by_size_removes_the_least_recently_used(store: Store) -> None:
    trees = [add(store, bytes([65 + n]) * 100, days_ago=9 - n) for n in range(3)]
    report = gc(store, max_age_days=None, max_bytes=200, now=time.time())
    assert report.trees == (trees[0].digest,)
    assert store.has(trees[1].digest)


def test_gc_by_size_of_a_cache_counts_what_lies_beside_the_store(store: Store) -> None:
    cache = store.layout.root.parent
    for name in ("modcache", "gocache"):
        (cache / name).mkdir()
        (cache / name / "file").write_bytes(b"x" * 100)
        os.utime(cache / name, (time.time() - DAY,) * 2)
    trees = [add(store, bytes([65 + n]) * 100, days_ago=9 - n) for n in range(2)]

    def collected(most: int, *, dry_run: bool) -> tuple[set[str], tuple[str, ...]]:
        report = gc(store, max_age_days=None, max_bytes=most, now=time.time(), dry_run=dry_run, cache=cache)
        return {row.name for row in report.beside if row.removed}, report.trees

    assert collected(400, dry_run=False) == (set(), ())
    for dry_run in (True, False):
        assert collected(350, dry_run=dry_run) == ({"modcache"}, ())
    for dry_run in (True, False):
        assert collected(150, dry_run=dry_run) == ({"gocache"}, (trees[0].digest,))
    assert store.has(trees[1].digest)


def test_a_lease_protects_what_is_used_during_it(store: Store) -> None:
    used, idle = add(store, b"used", days_ago=9), add(store, b"idle", days_ago=9)
    with lease(store, "run-1"):
        assert store.get_result("used") is not None
        report = gc(store, max_age_days=0, max_bytes=0, now=time.time() + 99 * DAY)
    assert report.leases == ("run-1",)
    assert report.trees == (idle.digest,)
    assert store.has(used.digest)
    after = gc(store, max_age_days=0, max_bytes=0, now=time.time() + 99 * DAY)
    assert after.trees == (used.digest,)
    assert list(store.layout.leases.glob("*")) == []


def test_orphans_and_rests_of_dead_processes_go(store: Store) -> None:
    tree = add(store, b"old", days_ago=9)
    store.layout.tree(tree.digest).unlink()
    code = (
        "import os, sys; from pathlib import Path; from k8sbuild.store.files import Draft\n"
        "draft = Draft(Path(sys.argv[1])); draft.file.write(b'half'); draft.file.flush(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, store.layout.blob("ab").parent], check=False)
    assert len(list(store.layout.temporaries())) == 1
    report = gc(store, max_age_days=None, max_bytes=None, now=time.time())
    assert len(report.temporaries) == len(report.blobs) == len(report.results) == 1
    assert list(store.layout.temporaries()) == list(store.layout.blobs()) == []


def test_lease_names_are_file_names(store: Store) -> None:
    with pytest.raises(StoreError), lease(store, "../x"):
        pass
