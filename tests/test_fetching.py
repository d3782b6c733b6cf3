"""Which provider a source comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import ResolveError
from k8sbuild.fetching import Fetcher
from k8sbuild.kinds import Source
from k8sbuild.lock import Lock
from k8sbuild.providers.builtin import BUILTIN
from k8sbuild.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SOURCE = Source(name="up", version="v1.0.0", locations={"gomod": "example.org/up", "git": "https://example.org/up"})


def fetcher(folder: Path, chosen: Mapping[str, str], locations: Mapping[str, str] | None = None) -> Fetcher:
    return Fetcher(
        store=Store(folder / "store"),
        lock=Lock(folder / "k8sbuild.lock"),
        cache=folder,
        providers={provider.kind: provider for provider in BUILTIN},
        chosen=chosen,
        locations=locations or {},
        env={},
        offline=True,
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


@pytest.mark.parametrize(
    ("chosen", "message"),
    [({"": "gti"}, "'gti' is no provider; did you mean 'git'?"), ({"up": "path"}, "'path' has no location")],
)
def test_a_choice_that_cannot_be_is_refused(tmp_path: Path, chosen: dict[str, str], message: str) -> None:
    with pytest.raises(ResolveError, match="up: ") as caught:
        fetcher(tmp_path, chosen).kind(SOURCE)

    assert caught.value.reason == "no-provider"
    assert message in caught.value.message
