"""Which provider a source comes from."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import BuildError, ResolveError
from k8sbuild.fetching import Fetcher
from k8sbuild.kinds import Source
from k8sbuild.lock import Lock
from k8sbuild.providers.builtin import BUILTIN
from k8sbuild.store.store import Store
from k8sbuild.testing import gitrepo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SOURCE = Source(name="up", version="v1.0.0", locations={"gomod": "example.org/up", "git": "https://example.org/up"})


def fetcher(
    folder: Path, chosen: Mapping[str, str], locations: Mapping[str, str] | None = None, *, offline: bool = True
) -> Fetcher:
    return Fetcher(
        store=Store(folder / "store"),
        lock=Lock(folder / "k8sbuild.lock"),
        cache=folder,
        providers={provider.kind: provider for provider in BUILTIN},
        chosen=chosen,
        locations=locations or {},
        env={},
        offline=offline,
        log=folder / "log",
        bootstrap=["1.25.5"],
    )


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, "gomod"),
        ({"": "git"}, "git"),
        ({"up": "git"}, "git"),
        ({"": "git", "up": "gomod"}, "gomod"),
        ({"": "pypi"}, "gomod"),
    ],
)
def test_the_choice_for_a_source_wins_over_that_for_all(tmp_path: Path, chosen: dict[str, str], expected: str) -> None:
    assert fetcher(tmp_path, chosen).kind(SOURCE) == expected


def test_a_location_of_the_users_own_allows_any_provider(tmp_path: Path) -> None:
    assert fetcher(tmp_path, {"up": "path"}, {"up": "../up"}).kind(SOURCE) == "path"


def test_a_module_path_of_the_users_own_is_asked_for(tmp_path: Path) -> None:
    source = replace(SOURCE, locations={"git": "https://example.org/up"})
    own = fetcher(tmp_path, {"up": "gomod"}, {"up": "example.org/fork"})
    go = tmp_path / "bin/go"
    go.parent.mkdir()
    go.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexit 1\n')
    go.chmod(0o755)
    own.toolchain = str(tmp_path)
    with pytest.raises(BuildError):
        own.go_mod(source)
    assert "example.org/fork@v1.0.0" in (tmp_path / "asked").read_text()


def test_a_bare_source_has_a_build_list_of_its_own(tmp_path: Path) -> None:
    bare = replace(SOURCE, layout="bare")
    assert fetcher(tmp_path, {}).mark(SOURCE) != fetcher(tmp_path, {}).mark(bare)
    (tmp_path / "up").mkdir()
    (tmp_path / "up/go.mod").write_text("module m\n\ngo 1.22\n\nrequire a.b/c v1.0.0\n")
    own = fetcher(tmp_path, {"up": "path"}, {"up": str(tmp_path / "up")})
    assert own.go_mod(bare) == b"module m\n\ngo 1.22\n"


@pytest.mark.parametrize(
    ("chosen", "message"),
    [({"": "gti"}, "'gti' is no provider; did you mean 'git'?"), ({"up": "path"}, "'path' has no location")],
)
def test_a_choice_that_cannot_be_is_refused(tmp_path: Path, chosen: dict[str, str], message: str) -> None:
    with pytest.raises(ResolveError, match="up: ") as caught:
        fetcher(tmp_path, chosen).kind(SOURCE)

    assert caught.value.reason == "no-provider"
    assert message in caught.value.message


def test_a_frozen_lock_takes_the_same_tree_from_another_provider(tmp_path: Path) -> None:
    commit = gitrepo.write(tmp_path / "up.git", {"a.txt": (0o100644, b"1\n")}, tag="v1.0.0", time=0)
    locked = fetcher(tmp_path / "one", {"up": "git"}, {"up": (tmp_path / "up.git").as_uri()}, offline=False)
    source = replace(SOURCE, layout="as-is")
    tree = locked.source(source)
    assert locked.lock.get("sources", "up@v1.0.0")["transports"]["git"]["commit"] == commit
    (tmp_path / "a.txt").write_text("1\n")
    with tarfile.open(tmp_path / "up.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "a.txt", "up-1.0.0/a.txt")
    other = fetcher(tmp_path / "two", {"up": "archive"}, {"up": (tmp_path / "up.tar.gz").as_uri()}, offline=False)
    other.lock = Lock(locked.lock.path, frozen=True)
    before = locked.lock.path.read_bytes()
    assert other.source(source) == tree
    assert locked.lock.path.read_bytes() == before


def test_the_same_files_keep_the_time_that_they_were_locked_with(tmp_path: Path) -> None:
    source, places = replace(SOURCE, layout="as-is"), {"up": (tmp_path / "up.git").as_uri()}
    gitrepo.write(tmp_path / "up.git", {"a.txt": (0o100644, b"1\n")}, tag="v1.0.0", time=0)
    first = fetcher(tmp_path / "one", {"up": "git"}, places, offline=False)
    first.source(source)
    entry = first.lock.get("sources", "up@v1.0.0")
    first.lock.add("sources", "up@v1.0.0", entry | {"time": "2001-02-03T04:05:06Z"})
    second = fetcher(tmp_path / "two", {"up": "git"}, places, offline=False)
    second.lock = Lock(first.lock.path)
    before = first.lock.path.read_bytes()
    second.source(source)
    assert first.lock.path.read_bytes() == before
