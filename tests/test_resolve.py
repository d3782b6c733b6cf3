"""Build lists and releases from the lock; asking go for them is tested through the fake upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from k8sbuild import resolve
from k8sbuild.errors import ResolveError
from k8sbuild.golang import modfile, modlist
from k8sbuild.kinds import GoModule, GoReplace, GoRequire, Source
from k8sbuild.lock import Lock
from k8sbuild.pins import Pins, Release
from k8sbuild.resolve import Program, go_sources, release_of, resolve_program

if TYPE_CHECKING:
    from pathlib import Path

    from k8sbuild.fetching import Fetcher

KUBERNETES = Source(name="kubernetes", version="v1.31.4", locations={"gomod": "k8s.io/kubernetes"}, layout="canonical")
ENTRY = {
    "go": "1.22.0",
    "godebug": {"default": "go1.22"},
    "local": {"k8s.io/kubernetes": "", "k8s.io/api": "k8s.io/kubernetes"},
    "modules": [
        ["example.org/dep", "v1.0.0", "example.org/fork", "v1.1.0"],
        ["k8s.io/api", "v0.31.4", "", ""],
        ["k8s.io/kubernetes", "v1.31.4", "", ""],
    ],
    "raised": [{"module": "example.org/dep", "kubernetes": "v0.9.0", "version": "v1.1.0", "by": "k8s.io/kubernetes"}],
}


class Upstream:
    """Stands for the fetcher; counts what is asked of it."""

    renewed: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.asked: list[str] = []

    def mark(self, source: Source) -> str:
        return source.version

    def release(self, source: Source) -> dict[str, str]:
        self.asked.append(source.name)
        return {"time": "2024-12-10T11:41:03Z", "commit": "fetched"}


def program(**fields: Any) -> Program:
    given: dict[str, Any] = {
        "requires": (
            GoRequire(name="kubernetes", path="k8s.io/kubernetes", source="kubernetes"),
            GoRequire(name="dep", path="example.org/dep", version="v1.0.0"),
        ),
        "replaces": (),
        **fields,
    }
    module = GoModule(name="main", path="example.org/toy", go="1.22")
    return Program(plugin="toy", module=module, sources={"kubernetes": KUBERNETES}, **given)


def fetcher() -> Fetcher:
    return cast("Fetcher", Upstream())


class Everything(Lock):
    """A lock that has one entry for whatever is asked, and remembers the keys."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.keys: list[str] = []

    def get(self, section: str, key: str) -> Any:
        self.keys.append(f"{section} {key}")
        return ENTRY


def test_a_build_list_comes_from_the_lock(tmp_path: Path) -> None:
    lock = Everything(tmp_path / "lock")
    found = resolve_program(program(), lock=lock, fetcher=fetcher())
    assert found.downloads() == ("example.org/fork@v1.1.0",)
    assert (found.name, found.needs_go) == ("toy/main", "1.22.0")
    assert found.raised[0]["by"] == "k8s.io/kubernetes"
    assert lock.keys[0].startswith("lists toy/main ")


def test_a_build_list_is_of_what_is_declared(tmp_path: Path) -> None:
    lock = Everything(tmp_path / "lock")
    replace = GoReplace(name="dep", path="example.org/dep", version="v1.2.0")
    raised = (GoRequire(name="dep", path="example.org/dep", version="v1.0.1"), program().requires[0])
    for given in (
        program(),
        program(requires=program().requires[::-1]),
        program(replaces=(replace,)),
        program(requires=raised),
    ):
        resolve_program(given, lock=lock, fetcher=fetcher())
    assert lock.keys[0] == lock.keys[1]
    assert len(set(lock.keys)) == 3


def test_a_requirement_on_a_source_that_nobody_fetches() -> None:
    requires = [GoRequire(name="kine", path="example.org/kine", source="kine")]
    with pytest.raises(ResolveError, match="GoRequire kine names the source 'kine'") as caught:
        go_sources(requires, {"kubernetes": KUBERNETES})
    assert caught.value.reason == "unknown-source"


def test_releases_come_from_pins_then_the_lock_then_upstream(tmp_path: Path) -> None:
    upstream = Upstream()
    asked = cast("Fetcher", upstream)
    lock = Lock(tmp_path / "lock")
    pinned = Release(commit="pinned", time="2020-01-01T00:00:00Z")
    assert release_of(lock, Pins(releases={"kubernetes@v1.31.4": pinned}), asked, KUBERNETES) == pinned
    assert upstream.asked == []
    half = Pins(releases={"kubernetes@v1.31.4": Release(commit="pinned")})
    expected = Release(commit="pinned", time="2024-12-10T11:41:03Z")
    assert release_of(lock, half, asked, KUBERNETES) == expected
    assert release_of(lock, half, asked, KUBERNETES) == expected
    assert upstream.asked == ["kubernetes"], "the lock remembers"
    assert release_of(lock, Pins(), asked, KUBERNETES).commit == "fetched"


def test_a_sample_is_listed_where_a_program_requires_it_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asks = b"module m\nrequire k8s.io/sample-controller v0.0.0\n"
    monkeypatch.setattr(modlist, "mod_file", lambda client, module: asks)
    kubernetes = modfile.parse(b"module k8s.io/kubernetes\nrequire k8s.io/sample-apiserver v0.0.0\n")
    trees = resolve._Trees(texts={}, mods={"k8s.io/kubernetes": kubernetes}, staging={})
    own = {"k8s.io/kubernetes": "v1.31.4"}
    assert resolve._union(cast("Any", None), trees, own) == own
    wanted = {**own, "k8s.io/sample-apiserver": "v0.29.2"}
    assert resolve._union(cast("Any", None), trees, wanted) == wanted
