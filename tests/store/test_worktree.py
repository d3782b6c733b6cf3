"""Work trees: equal by difference, doubtful files hashed, changes by others named and put back."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sbuild.errors import StoreError
from k8sbuild.store import EMPTY, Store
from k8sbuild.store.worktree import sync

FILES = st.dictionaries(
    st.sampled_from(["a", "b", "d/a", "d/e/f", "g/h"]),
    st.tuples(st.sampled_from([0o644, 0o755]), st.binary(max_size=3)),
)
SAMPLE = {"d/one": (0o644, b"first"), "d/two": (0o755, b"second"), "three": (0o644, b"third")}


def on_disk(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    return {str(p.relative_to(folder)): (p.stat().st_mode & 0o7777, p.read_bytes()) for p in files}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@given(steps=st.lists(FILES, min_size=1, max_size=4))
def test_folder_always_equals_the_tree(steps: list[dict[str, tuple[int, bytes]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        store, folder = Store(Path(name, "store")), Path(name, "work")
        for files in steps:
            assert sync(store, store.add_files(files), folder).restored == ()
            assert on_disk(folder) == files
            assert sync(store, store.add_files(files), folder) == sync(store, store.add_files(files), folder)


def test_untouched_files_keep_their_times(store: Store, tmp_path: Path) -> None:
    tree, folder = store.add_files(SAMPLE), tmp_path / "work"
    assert sync(store, tree, folder).written == ("d/one", "d/two", "three")
    before = (folder / "d/one").stat()
    assert before.st_mtime_ns != (folder / "d/two").stat().st_mtime_ns
    edited = store.edit(tree, {"d/two": (0o644, b"new"), "three": None})
    report = sync(store, edited, folder)
    assert (report.written, report.removed, report.restored) == (("d/two",), ("three",), ())
    after = (folder / "d/one").stat()
    for field in ("st_ino", "st_mtime_ns", "st_ctime_ns"):
        assert getattr(after, field) == getattr(before, field)
    assert before.st_nlink == 1


def test_a_tree_laid_out_again_has_the_times_that_it_had(store: Store, tmp_path: Path) -> None:
    tree = store.add_files(SAMPLE)
    times = []
    for name in ("one", "two"):
        sync(store, tree, tmp_path / name)
        times.append({path: (tmp_path / name / path).stat().st_mtime_ns for path in tree.entries})
    assert times[0] == times[1]
    edited = store.edit(tree, {"d/one": (0o644, b"else")})
    sync(store, edited, tmp_path / "one")
    assert (tmp_path / "one/d/one").stat().st_mtime_ns != times[0]["d/one"]


def test_changes_by_others_are_named_and_put_back(store: Store, tmp_path: Path) -> None:
    tree, folder = store.add_files(SAMPLE), tmp_path / "work"
    sync(store, tree, folder)
    (folder / "d/one").write_bytes(b"other")
    (folder / "d/two").chmod(0o600)
    (folder / "three").unlink()
    (folder / "new/deep").mkdir(parents=True)
    (folder / "new/deep/link").symlink_to("/etc")
    report = sync(store, tree, folder)
    assert report.restored == ("d/one", "d/two", "new/deep/link", "three")
    assert (report.written, report.removed) == ((), ())
    assert on_disk(folder) == SAMPLE
    assert not (folder / "new").exists()


def test_a_change_within_the_clock_tick_is_found(store: Store, tmp_path: Path) -> None:
    tree, folder = store.add_files(SAMPLE), tmp_path / "work"
    sync(store, tree, folder)
    index = folder.with_name("work.index")
    file = folder / "three"
    before = file.stat()
    file.write_bytes(b"THIRD")
    os.utime(file, ns=(before.st_mtime_ns, before.st_mtime_ns))
    # As if the file's ctime had not moved either.
    index.write_text(index.read_text().replace(str(before.st_ctime_ns), str(file.stat().st_ctime_ns)))
    assert sync(store, tree, folder).restored == ("three",)
    assert file.read_bytes() == b"third"


def test_an_interrupted_sync_is_no_change_by_others(store: Store, tmp_path: Path) -> None:
    first, folder = store.add_files(SAMPLE), tmp_path / "work"
    sync(store, first, folder)
    second = store.edit(first, {"d/one": (0o644, b"1"), "three": (0o644, b"3"), "zero": (0o644, b"0")})
    blob = store.layout.blob(second.entries["zero"].blob)
    data = blob.read_bytes()
    os.truncate(blob, 2)  # "zero", which is last, cannot be read: the sync stops there
    with pytest.raises(StoreError, match="zero"):
        sync(store, second, folder)
    (folder / ".k8sbuild-tmp-0").write_bytes(b"rest of a killed process")
    blob.chmod(0o644)
    blob.write_bytes(data)
    third = store.edit(second, {"d/one": (0o644, b"2")})
    assert sync(store, third, folder).restored == ()
    assert on_disk(folder)["d/one"] == (0o644, b"2")
    assert on_disk(folder).keys() == third.entries.keys()


def test_a_damaged_index_means_hashing_all(store: Store, tmp_path: Path) -> None:
    tree, folder = store.add_files(SAMPLE), tmp_path / "work"
    sync(store, tree, folder)
    folder.with_name("work.index").write_bytes(b"{")
    assert sync(store, tree, folder).written == ()
    assert on_disk(folder) == SAMPLE


def test_a_folder_that_is_not_ours_is_left_alone(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "thesis").write_bytes(b"years")
    with pytest.raises(StoreError) as caught:
        sync(store, EMPTY, folder)
    assert caught.value.reason == "folder-not-ours"
    assert (folder / "thesis").exists()
