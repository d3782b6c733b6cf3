"""The lock file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import ResolveError
from k8sbuild.lock import Lock

if TYPE_CHECKING:
    from pathlib import Path


def source(tree: str) -> dict[str, object]:
    return {"tree": tree, "trust": "first-use", "transports": {}}


def test_entries_are_kept_sorted_and_written_once(tmp_path: Path) -> None:
    path = tmp_path / "k8sbuild.lock"
    lock = Lock(path)
    assert lock.get("sources", "kine@v1") is None
    assert not path.exists()
    lock.update("sources", {"kine@v1": source("b"), "a@v1": source("a")})
    assert list(json.loads(path.read_text())["sources"]) == ["a@v1", "kine@v1"]
    before = path.stat().st_ino
    lock.add("sources", "kine@v1", source("b"))
    assert path.stat().st_ino == before, "an entry that is there already was written again"
    assert Lock(path).get("sources", "kine@v1") == source("b")
    assert sorted(tmp_path.glob("[!.]*")) == [path]


def test_two_builds_add_to_one_lock(tmp_path: Path) -> None:
    path = tmp_path / "k8sbuild.lock"
    one, two = Lock(path), Lock(path)
    one.add("sources", "a@v1", source("1"))
    two.add("sources", "b@v1", source("2"))
    one.add("modules", "c@v1", ["h1:c", "h1:d"])
    found = json.loads(path.read_text())
    assert found["sources"] == {"a@v1": source("1"), "b@v1": source("2")}
    assert found["modules"] == {"c@v1": ["h1:c", "h1:d"]}
    assert one.get("sources", "b@v1") == source("2")


def test_what_is_not_kept_can_be_saved_later(tmp_path: Path) -> None:
    path = tmp_path / "k8sbuild.lock"
    lock = Lock(path, keep=False)
    lock.save()
    lock.add("sources", "a@v1", source("1"))
    assert lock.get("sources", "a@v1") == source("1")
    assert not path.exists()
    lock.save()
    assert Lock(path).get("sources", "a@v1") == source("1")


def test_a_link_is_written_through(tmp_path: Path) -> None:
    path = tmp_path / "k8sbuild.lock"
    path.symlink_to("shared.lock")
    Lock(path).add("sources", "a@v1", source("1"))
    assert path.is_symlink()
    assert json.loads((tmp_path / "shared.lock").read_text())["sources"] == {"a@v1": source("1")}


def test_a_frozen_lock_takes_nothing_new(tmp_path: Path) -> None:
    path = tmp_path / "k8sbuild.lock"
    Lock(path).add("sources", "a@v1", source("1"))
    before = path.read_bytes()
    frozen = Lock(path, frozen=True)
    frozen.add("sources", "a@v1", source("1"))
    for entry in ({"a@v1": source("2")}, {"b@v1": source("1")}):
        with pytest.raises(ResolveError, match=f"has no entry for {next(iter(entry))}") as caught:
            frozen.update("sources", entry)
        assert caught.value.reason == "not-locked"
    assert path.read_bytes() == before


def test_a_lock_that_is_not_kept_leaves_its_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "k8sbuild.lock"
    lock = Lock(path, keep=False)
    lock.update("sources", {"a@v1": source("1"), "b@v1": source("1")})
    lock.add("sources", "a@v1", source("1"))
    assert (lock.get("sources", "a@v1"), lock.added) == (source("1"), 2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"schema": "k8sbuild/lock/99"}', '{"schema": "k8sbuild/lock/1", "lists": 3}']
)
def test_what_is_no_lock_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k8sbuild.lock"
    path.write_text(text)
    with pytest.raises(ResolveError, match="not a lock file") as caught:
        Lock(path)
    assert caught.value.reason == "lock-damaged"
    assert path.read_text() == text


def test_a_lock_that_is_no_file_and_one_of_a_merge_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "k8sbuild.lock"
    path.mkdir()
    with pytest.raises(ResolveError, match="Is a directory"):
        Lock(path)
    path.rmdir()
    path.write_text("<<<<<<< mine\n{}\n=======\n{}\n>>>>>>> theirs\n")
    with pytest.raises(ResolveError) as caught:
        Lock(path)
    assert "after a merge, take one side" in caught.value.hint


@pytest.mark.parametrize(
    ("section", "entry"),
    [
        ("sources", {"tree": 7, "trust": "x", "transports": {}}),
        ("sources", {"tree": "sha256:a"}),
        ("modules", ["h1:a"]),
        ("modules", 7),
        ("releases", "v1"),
        ("lists", {"go": 7, "godebug": {}, "local": {}, "modules": [], "raised": []}),
        ("lists", {"go": "1.24", "godebug": {}, "local": {}, "modules": [["a"]], "raised": []}),
        ("lists", {"go": "1.24", "godebug": "x", "local": {}, "modules": [], "raised": []}),
    ],
)
def test_an_entry_of_another_form_is_named(tmp_path: Path, section: str, entry: object) -> None:
    path = tmp_path / "k8sbuild.lock"
    path.write_text(json.dumps({"schema": "k8sbuild/lock/1", section: {"a@v1": entry}}))
    with pytest.raises(ResolveError, match=f"{section}: 'a@v1' is not of the form") as caught:
        Lock(path)
    assert caught.value.reason == "lock-damaged"
