"""The store: what goes in comes out, and damage is noticed and named."""

import errno
import json
import os
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sbuild.errors import StoreError
from k8sbuild.store import EMPTY, Result, Store, Tree
from k8sbuild.store.files import Draft

if TYPE_CHECKING:
    from disks import Disk

NAMES = st.text("abc.", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
# Folders are "d…" and files are not, so that no path is both.
FOLDERS = st.lists(NAMES.map(lambda name: "d" + name), max_size=2)
PATHS = st.builds(lambda folders, name: "/".join([*folders, name]), FOLDERS, NAMES)
FILES = st.dictionaries(PATHS, st.tuples(st.sampled_from([0o644, 0o755]), st.binary(max_size=40)), max_size=8)
SAMPLE = {"a/one": (0o644, b"first"), "a/two": (0o755, b"second"), "b": (0o644, b"")}


def contents(store: Store, tree: Tree) -> dict[str, tuple[int, bytes]]:
    return {path: (entry.mode, store.read(entry)) for path, entry in tree.entries.items()}


def result(key: str, tree: Tree) -> Result:
    return Result(key=key, step="s", tree=tree.digest, components={"a": "b"}, seconds=1.0, made=2.0, facts={"n": [1]})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@given(files=FILES)
def test_files_come_back_and_folder_gives_the_same_digest(files: dict[str, tuple[int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name, "store"))
        tree = store.add_files(files)
        assert contents(store, store.load(tree.digest)) == files
        for entry in tree.entries.values():
            store.export(entry, Path(name, "out", entry.path))
        Path(name, "out").mkdir(exist_ok=True)
        assert store.add_folder(Path(name, "out")) == tree


@pytest.mark.parametrize("case", ["moved", "linked", "elsewhere", "two"])
def test_a_file_that_is_alone_is_moved(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    files = {"bin/k8s": (0o755, b"program"), **({"log": (0o644, b"")} if case == "two" else {})}
    out = write_bytes(tmp_path / "out", files)
    if case == "linked":
        (tmp_path / "other").hardlink_to(out / "bin/k8s")
    if case == "elsewhere":
        replaced = os.replace
        monkeypatch.setattr(os, "replace", lambda old, new: replaced(old, new) if ".k8s" in str(old) else refuse())
    tree = store.take_folder(out)
    assert contents(store, store.load(tree.digest)) == files
    assert (out / "bin/k8s").exists() is (case != "moved")
    (blob,) = store.layout.blobs()
    assert (blob.stat().st_nlink, blob.stat().st_mode & 0o777) == (1, 0o444)
    assert store.check() == []


def refuse() -> None:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def write_bytes(folder: Path, files: dict[str, tuple[int, bytes]]) -> Path:
    for name, (mode, data) in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        (folder / name).chmod(mode)
    return folder


@given(before=FILES, after=FILES)
def test_edit_equals_adding_the_outcome(
    before: dict[str, tuple[int, bytes]], after: dict[str, tuple[int, bytes]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name))
        changes = dict.fromkeys(before.keys() - after.keys()) | after
        edited = store.edit(store.add_files(before), changes)
        assert edited.digest == store.add_files(after).digest
        assert contents(store, edited) == after


def test_edit_writes_only_what_changed(store: Store) -> None:
    tree = store.add_files(SAMPLE)
    edited = store.edit(tree, {"a/one": (0o755, b"first"), "b": (0o644, b"new")})
    assert edited.entries["a/one"].blob == tree.entries["a/one"].blob
    assert edited.entries["a/one"].mode == 0o755
    assert store.layout.blob(edited.entries["b"].blob).read_bytes() == b"new"


def test_removing_a_file_that_is_not_there_names_it(store: Store) -> None:
    with pytest.raises(StoreError, match="nowhere") as caught:
        store.edit(EMPTY, {"nowhere": None})
    assert caught.value.reason == "no-such-file"


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def test_flipped_bit_is_named_and_dropping_heals(store: Store, tmp_path: Path) -> None:
    tree = store.add_files(SAMPLE)
    other = store.edit(tree, {"b": None})
    store.put_result(result("k", other))
    entry = tree.entries["a/two"]
    flip(store.layout.blob(entry.blob), entry.offset)
    assert store.read(tree.entries["a/one"]) == b"first"
    (tmp_path / "dest").write_bytes(b"before")
    with pytest.raises(StoreError, match="a/two") as caught:
        store.export(entry, tmp_path / "dest")
    assert caught.value.reason == "store-damaged"
    assert entry.blob in caught.value.message
    assert (tmp_path / "dest").read_bytes() == b"before"
    assert [(damage.what, damage.name) for damage in store.check()] == [("blob", entry.blob)]
    assert set(store.check()[0].trees) == {tree.digest, other.digest}
    store.drop(other.digest)
    assert not store.has(tree.digest), "the damaged blob that both use is gone"
    assert store.get_result("k") is None
    assert contents(store, store.add_files(SAMPLE)) == SAMPLE
    assert store.check() == []


def test_drop_keeps_sound_shared_blobs(store: Store) -> None:
    tree = store.add_files(SAMPLE)
    edited = store.edit(tree, {"b": (0o644, b"new")})
    store.drop(edited.digest)
    assert store.has(tree.digest)
    assert not store.layout.blob(edited.entries["b"].blob).exists()


def test_truncated_blob_is_seen_without_hashing(store: Store) -> None:
    tree = store.add_files(SAMPLE)
    blob = store.layout.blob(tree.entries["b"].blob)
    assert store.has(tree.digest)
    os.truncate(blob, 7)
    assert not store.has(tree.digest)
    with pytest.raises(StoreError, match="ends at byte 7"):
        store.read(tree.entries["a/two"])
    blob.unlink()
    with pytest.raises(StoreError, match="missing"):
        store.read(tree.entries["a/two"])


def test_no_flipped_bit_of_a_manifest_gives_another_content(store: Store) -> None:
    tree = store.add_files(SAMPLE)
    manifest = store.layout.tree(tree.digest)
    sound = manifest.read_bytes()
    for at in range(len(sound)):
        flip(manifest, at)
        assert _content_or_reason(store, tree.digest) in (SAMPLE, "store-damaged"), at
        manifest.write_bytes(sound)


def _content_or_reason(store: Store, digest: str) -> object:
    try:
        return contents(store, store.load(digest))
    except StoreError as error:
        return error.reason


def test_results_come_back_until_their_tree_is_gone(store: Store) -> None:
    kept = result("sha256:" + "1" * 64, store.add_files(SAMPLE))
    assert store.get_result(kept.key) is None
    store.put_result(kept)
    assert store.get_result(kept.key) == kept
    flip(store.layout.result(kept.key), 90)
    assert store.get_result(kept.key) is None
    assert [damage.what for damage in store.check()] == ["result"]
    store.put_result(kept)
    store.drop(kept.tree)
    assert store.get_result(kept.key) is None


def test_links_are_refused_by_name(store: Store, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "in" / "pipe")
    with pytest.raises(StoreError, match="pipe, sub/link") as caught:
        store.add_folder(tmp_path / "in")
    assert caught.value.reason == "not-a-file"


def test_a_newer_layout_is_refused(store: Store) -> None:
    store.add_files(SAMPLE)
    (store.root / "VERSION").write_text("2\n")
    with pytest.raises(StoreError) as caught:
        Store(store.root)
    assert caught.value.reason == "store-too-new"


def test_a_program_can_be_run_as_soon_as_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, codes = os.replace, []

    def replace_and_run(source: str, dest: Path) -> None:
        rename(source, dest)
        codes.append(subprocess.run([dest], check=False).returncode)

    monkeypatch.setattr(os, "replace", replace_and_run)
    with Draft(tmp_path) as draft:
        draft.file.write(Path("/bin/true").read_bytes())
        draft.publish(tmp_path / "true", 0o755)
    assert codes == [0]


def test_a_failing_write_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _mode: int) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(StoreError) as caught:
        store.add_files(SAMPLE)
    assert caught.value.reason == "store-read-only"
    assert list(store.layout.temporaries()) == []
    assert list(store.layout.blobs()) == []


@pytest.mark.parametrize("lost", ["blob", "tree"])
def test_what_a_power_loss_takes_is_told(store: Store, lost: str) -> None:
    """Names that the disk has and contents that it has not: ext4 leaves such files empty."""
    tree = store.add_files(SAMPLE)
    (blob,) = store.layout.blobs()
    file = blob if lost == "blob" else store.layout.tree(tree.digest)
    file.chmod(0o644)
    os.truncate(file, 0)
    assert not store.has(tree.digest)
    assert [damage.trees for damage in store.mend()] == [(tree.digest,)]
    assert store.add_files(SAMPLE).digest == tree.digest
    assert store.check() == []


def test_full_and_read_only_disks(disk: "Disk") -> None:
    store = Store(disk.folder / "store")
    tree = store.add_files(SAMPLE)
    with pytest.raises(StoreError) as caught:
        store.add_files({"big": (0o644, os.urandom(1 << 20))})
    assert caught.value.reason == "disk-full"
    assert list(store.layout.temporaries()) == []
    disk.remount("ro")
    with pytest.raises(StoreError) as caught:
        store.add_files({"new": (0o644, b"new")})
    assert caught.value.reason == "store-read-only"
    assert contents(store, store.load(tree.digest)) == SAMPLE


def test_result_is_readable_json(store: Store) -> None:
    kept = result("k", store.add_files(SAMPLE))
    assert json.loads(kept.to_json())["result"]["step"] == "s"


def test_laid_out_files_have_content_mode_and_state_whatever_was_there(store: Store, tmp_path: Path) -> None:
    big = os.urandom(3 << 20)
    tree = store.add_files({"a/b/run": (0o755, b"x"), "link": (0o644, b"y"), "big": (0o644, big), "old": (0o644, b"")})
    folder, outside = tmp_path / "laid", tmp_path / "outside"
    folder.mkdir()
    outside.write_bytes(b"not ours")
    (folder / "link").symlink_to(outside)
    (folder / "old").write_bytes(b"longer than before")
    before = os.umask(0o077)
    try:
        states = dict(store.lay_out(tree.entries.values(), folder))
    finally:
        os.umask(before)
    found = {path: ((folder / path).read_bytes(), (folder / path).lstat().st_mode & 0o7777) for path in tree.entries}
    assert found == {"a/b/run": (b"x", 0o755), "link": (b"y", 0o644), "big": (big, 0o644), "old": (b"", 0o644)}
    assert {path: state.mtime_ns for path, state in states.items()} == {
        path: (folder / path).lstat().st_mtime_ns for path in tree.entries
    }
    assert outside.read_bytes() == b"not ours"


def test_laying_out_a_damaged_blob_is_an_error(store: Store, tmp_path: Path) -> None:
    tree = store.add_files({"a": (0o644, b"first"), "b": (0o644, b"second")})
    flip(store.layout.blob(tree.entries["b"].blob), tree.entries["b"].offset)
    with pytest.raises(StoreError, match=r"b .* is damaged"):
        dict(store.lay_out(tree.entries.values(), tmp_path / "laid"))


@pytest.mark.parametrize("contents", [[b"one"], [b"one", b"two"], [b"", b""]])
def test_a_blob_is_named_by_the_digest_of_the_whole(store: Store, contents: list[bytes]) -> None:
    tree = store.add_files({str(number): (0o644, data) for number, data in enumerate(contents)})
    assert {entry.blob for entry in tree.entries.values()} == {sha256(b"".join(contents)).hexdigest()}
