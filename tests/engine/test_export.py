"""Artifacts out of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.engine.export import export, write_if_changed
from k8sbuild.engine.run import Outcome
from k8sbuild.errors import PlanError, StoreError
from k8sbuild.store.files import TMP_PREFIX, Draft
from k8sbuild.store.result import Result
from k8sbuild.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

STEP = "compile:toy/all"


def made(store: Store, files: dict[str, str], **facts: Any) -> dict[str, Outcome]:
    tree = store.save(store.add_files({name: (0o644, text.encode()) for name, text in files.items()}))
    result = Result(key="k", step=STEP, tree=tree.digest, components={}, seconds=0.0, made=0.0, facts=facts)
    return {STEP: Outcome(step=STEP, state="ran", result=result)}


def sums(folder: Path) -> list[str]:
    return [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]


def test_a_file_a_folder_and_sums_of_what_is_inside(tmp_path: Path) -> None:
    store, folder = Store(tmp_path / "store"), tmp_path / "out"
    outcomes = made(store, {"a": "1", "d/b": "22", "d/c/x": "333"}, sums={"x.tar": "0" * 64})
    found = export(store, {"one": f"{STEP}/a", "two": f"{STEP}/d"}, outcomes, folder)
    assert [(a.name, a.size) for a in found] == [("one", 1), ("two/b", 2), ("two/c/x", 3)]
    assert (folder / "two/c/x").read_text() == "333"
    assert sums(folder) == ["one", "two/b", "two/c/x", "x.tar"]


def test_what_somebody_changed_is_put_back_and_the_rest_left_alone(tmp_path: Path) -> None:
    store, folder = Store(tmp_path / "store"), tmp_path / "out"
    names = {name: f"{STEP}/{name}" for name in "abcd"}
    outcomes = made(store, dict.fromkeys(names, "text"))
    export(store, names, outcomes, folder)
    before = {name: (folder / name).stat().st_ino for name in names}
    (folder / "a").write_text("none")
    (folder / "b").chmod(0o755)
    (folder / "c").unlink()
    (folder / "c").symlink_to("d")
    export(store, names, outcomes, folder)
    for name in names:
        path = folder / name
        assert (path.read_text(), path.stat().st_mode & 0o777, path.is_symlink()) == ("text", 0o644, False)
    assert (folder / "d").stat().st_ino == before["d"]


@pytest.mark.parametrize("text", [b"[]", b'{"files": 3}', b'{"extra": 3}', b"\xff\xfe", b"{"])
@pytest.mark.parametrize("name", [".index.json", "SHA256SUMS"])
def test_what_is_written_beside_the_artifacts_may_be_damaged(tmp_path: Path, name: str, text: bytes) -> None:
    store, folder = Store(tmp_path / "store"), tmp_path / "out"
    outcomes = made(store, {"a": "1"})
    export(store, {"a": f"{STEP}/a"}, outcomes, folder)
    before = (folder / name).read_bytes()
    (folder / name).write_bytes(text)
    export(store, {"a": f"{STEP}/a"}, outcomes, folder)
    assert (folder / name).read_bytes() == before


def test_rests_of_killed_runs_go_and_work_of_living_ones_stays(tmp_path: Path) -> None:
    store, folder = Store(tmp_path / "store"), tmp_path / "out"
    outcomes = made(store, {"d/b": "1"})
    export(store, {"d": f"{STEP}/d"}, outcomes, folder)
    for rest in (folder / f"{TMP_PREFIX}0", folder / "d" / f"{TMP_PREFIX}1"):
        rest.write_text("half")
    with Draft(folder):
        export(store, {"d": f"{STEP}/d"}, outcomes, folder)
        assert len(list(folder.rglob(f"{TMP_PREFIX}*"))) == 1


def test_an_index_that_is_lost_or_damaged_costs_only_time(tmp_path: Path) -> None:
    store, folder = Store(tmp_path / "store"), tmp_path / "out"
    outcomes = made(store, {"a": "1"})
    export(store, {"a": f"{STEP}/a"}, outcomes, folder)
    before = (folder / "a").stat().st_ino
    (folder / ".index.json").write_text("{")
    export(store, {"a": f"{STEP}/a"}, outcomes, folder)
    assert (folder / "a").stat().st_ino == before


def test_sums_of_other_targets_stay_as_long_as_their_files(tmp_path: Path) -> None:
    store, folder = Store(tmp_path / "store"), tmp_path / "out"
    for name in ("a", "b"):
        export(store, {name: f"{STEP}/x"}, made(store, {"x": name}, sums={f"{name}.tar": "0" * 64}), folder)
    assert sums(folder) == ["a", "a.tar", "b", "b.tar"]
    (folder / "a").unlink()
    export(store, {"b": f"{STEP}/x"}, made(store, {"x": "b"}), folder)
    assert "a" not in sums(folder)


def test_what_is_not_there(tmp_path: Path) -> None:
    store, folder = Store(tmp_path / "store"), tmp_path / "out"
    outcomes = made(store, {"a": "1"})
    with pytest.raises(StoreError, match="has no output 'b'") as caught:
        export(store, {"b": f"{STEP}/b"}, outcomes, folder)
    assert caught.value.reason == "missing-output"
    with pytest.raises(PlanError, match="compile:toy/none"):
        export(store, {"b": "compile:toy/none"}, outcomes, folder)
    skipped = {STEP: Outcome(step=STEP, state="skipped")}
    assert export(store, {"b": f"{STEP}/b"}, skipped, folder) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StoreError, match="out"):
        export(Store(tmp_path / "store"), {}, {}, tmp_path / "out")


def test_small_files_are_written_only_when_they_change(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_if_changed(path, "1")
    before = path.stat().st_ino
    write_if_changed(path, "1")
    assert path.stat().st_ino == before
    write_if_changed(path, "2")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("2", [path])


def test_a_file_where_the_folder_should_be_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    store, folder = Store(tmp_path / "store"), tmp_path / "out"
    folder.write_text("mine")
    with pytest.raises(StoreError, match="out: File exists") as caught:
        export(store, {"a": f"{STEP}/a"}, made(store, {"a": "1"}), folder)
    assert (caught.value.reason, caught.value.hint) == (
        "disk-failed", "look whether something else has that name, or give another path",
    )  # fmt: skip
    assert folder.read_text() == "mine"
