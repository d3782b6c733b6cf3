"""Debian packages from a signed archive on this machine."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.errors import BuildError
from k8sbuild.kinds import Source
from k8sbuild.providers import _http, deb
from k8sbuild.providers.base import Context, Request
from k8sbuild.testing import debian
from k8sbuild.testing.debian import Signer, package
from k8sbuild.testing.server import Server, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEBS = [
    package("tool", depends="libtool (>= 1.0), awk, editor | pager"),
    package("libtool", "1.0", pre_depends="base"),
    package("libtool", "1.0~rc1"),
    package("libtool", "1:0.9"),
    package("base", essential="yes"),
    package("init", essential="yes", depends="base"),
    package("mawk", provides="awk (= 1.3)", priority="required"),
    package("gawk", provides="awk"),
    package("less", provides="pager"),
    package("other"),
]


@pytest.fixture(scope="module")
def key() -> Iterator[Signer]:
    if not (shutil.which("gpgv") or shutil.which("sqv")):
        pytest.skip("no gpgv and no sqv: signatures of package archives are NOT tested here")
    with debian.signer() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, key: Signer) -> Path:
    """Return what the archive gives."""
    debian.archive(tmp_path / "served", "toy", DEBS, key)
    return tmp_path / "served"


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(_http, "Policy", partial(_http.Policy, attempts=2, wait=0.01))
    with serve(folder) as running:
        yield running


@pytest.fixture
def context(tmp_path: Path, server: Server, key: Signer) -> Callable[..., Context]:
    """Return a function that makes a context for the archive."""

    def go() -> None:
        raise AssertionError("packages need no Go")

    env = debian.apt(tmp_path / "apt", server.address, "toy", key)
    plain = Context(scratch=tmp_path / "scratch", offline=False, env=env, log=tmp_path / "log", go=go)  # type: ignore[arg-type]
    return lambda **fields: replace(plain, **fields)


def request(*names: str, suite: str = "toy", arch: str = "amd64") -> Request:
    source = Source.debian("debs", suite, names, arch)
    location = source.locations["deb"]
    return Request(name="debs", version=source.version, kind="deb", location=location, layout=source.layout)


def fetched(ctx: Context, asked: Request, dest: Path) -> tuple[list[str], dict[str, str]]:
    """Return the files and what is locked."""
    dest.mkdir()
    found = deb.fetch(ctx, asked, dest)
    assert found.trust == "signed-release"
    return sorted(path.name for path in dest.iterdir()), dict(found.transports)


def failure(ctx: Context, asked: Request, dest: Path) -> BuildError:
    with pytest.raises(BuildError) as caught:
        fetched(ctx, asked, dest)
    return caught.value


def test_packages_come_with_all_that_they_need(context: Callable[..., Context], tmp_path: Path) -> None:
    files, locked = fetched(context(), request("tool"), tmp_path / "one")
    names = ["less_1.0_all.deb", "libtool_1%3a0.9_all.deb", "mawk_1.0_all.deb", "tool_1.0_all.deb"]
    assert files == names, "the newest, of alternatives what there is, of providers the most wanted"
    assert sorted(locked) == [f"pool/{name}" for name in names], "no host of an archive"
    assert {digest[:7] for digest in locked.values()} == {"sha256:"}


def test_the_essential_ones_on_request(context: Callable[..., Context], tmp_path: Path) -> None:
    assert fetched(context(), request("other", "?essential"), tmp_path / "one")[0] == [
        "base_1.0_all.deb", "init_1.0_all.deb", "other_1.0_all.deb",
    ]  # fmt: skip


def test_the_older_form_of_sources(
    context: Callable[..., Context], server: Server, key: Signer, tmp_path: Path
) -> None:
    env = debian.apt(tmp_path / "old", server.address, "toy", key, form="list")
    with (tmp_path / "old/sources.list").open("a") as file:
        file.write(
            "deb cdrom:[disk]/ toy main\ndeb [trusted=yes] file:/srv toy main\ndeb-src http://127.0.0.1:1 toy main\n"
        )
    assert fetched(context(env=env), request("other"), tmp_path / "one")[0] == ["other_1.0_all.deb"]


def test_the_lock_decides(context: Callable[..., Context], folder: Path, key: Signer, tmp_path: Path) -> None:
    files, locked = fetched(context(), request("other"), tmp_path / "one")
    debian.archive(folder, "toy", [package("other", "2.0")], key)
    assert fetched(context(), request("other"), tmp_path / "new")[0] == ["other_2.0_all.deb"]
    shutil.rmtree(folder / "dists")
    assert fetched(context(locked=locked), request("other"), tmp_path / "two") == (files, locked)
    (folder / "pool/other_1.0_all.deb").write_bytes(b"other")
    assert failure(context(locked=locked), request("other"), tmp_path / "three").reason == "digest-mismatch"
    (folder / "pool/other_1.0_all.deb").unlink()
    error = failure(context(locked=locked), request("other"), tmp_path / "four")
    assert (error.reason, "snapshots" in error.hint) == ("not-found", True)


def test_the_list_is_part_of_the_version() -> None:
    one, same, two, three = (
        Source.debian("debs", "toy", names, arch).version
        for names, arch in ((["a", "b"], "amd64"), (["b", "a", "b"], "amd64"), (["a"], "amd64"), (["a", "b"], "arm64"))
    )
    assert one == same
    assert len({one, two, three}) == 3
    assert one.startswith("toy+")


def spoil_index(folder: Path) -> None:
    (folder / "dists/toy/main/binary-amd64/Packages.gz").write_bytes(b"other")


def spoil_release(folder: Path) -> None:
    path = folder / "dists/toy/InRelease"
    path.write_bytes(path.read_bytes().replace(b"Suite: toy", b"Suite: tox"))


def unsign(folder: Path) -> None:
    path = folder / "dists/toy/InRelease"
    path.write_bytes(path.read_bytes().partition(b"\n\n")[2])


def spoil_package(folder: Path) -> None:
    (folder / "pool/other_1.0_all.deb").write_bytes(b"other")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_index, "digest-mismatch"),
        (spoil_release, "bad-signature"),
        (unsign, "bad-signature"),
        (spoil_package, "digest-mismatch"),
    ],
)
def test_what_is_not_what_was_signed(
    context: Callable[..., Context], folder: Path, tmp_path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(folder)
    assert failure(context(), request("other"), tmp_path / "one").reason == reason


def test_a_key_that_is_not_trusted(
    context: Callable[..., Context], folder: Path, server: Server, key: Signer, tmp_path: Path
) -> None:
    with debian.signer() as other:
        env = debian.apt(tmp_path / "else", server.address, "toy", other)
    assert failure(context(env=env), request("other"), tmp_path / "one").reason == "bad-signature"


def test_a_key_that_is_not_there(context: Callable[..., Context], server: Server, key: Signer, tmp_path: Path) -> None:
    env = debian.apt(tmp_path / "old", server.address, "toy", key, form="list")
    (tmp_path / "old/key.asc").unlink()
    assert failure(context(env=env), request("other"), tmp_path / "one").reason == "bad-signature"


def test_a_release_that_is_too_old(context: Callable[..., Context], folder: Path, key: Signer, tmp_path: Path) -> None:
    debian.archive(folder, "toy", DEBS, key, fields="Valid-Until: Sat, 01 Jan 2000 00:00:00 UTC\n")
    assert failure(context(), request("other"), tmp_path / "one").reason == "release-expired"


@pytest.mark.parametrize(
    ("asked", "fields", "reason", "said"),
    [
        (request("othr"), {}, "unknown-package", "did you mean 'other'"),
        (request("other", suite="toys"), {}, "unknown-version", "they have: toy"),
        (request("other", suite="1"), {}, "malformed-version", "write it like bookworm"),
        (request("other", arch="arm64"), {}, "bad-package-index", "main/binary-arm64/Packages"),
        (request("other"), {"offline": True}, "offline", "k8sbuild fetch"),
    ],
)
def test_what_cannot_be(
    context: Callable[..., Context], tmp_path: Path, asked: Request, fields: dict[str, Any], reason: str, said: str
) -> None:
    error = failure(context(**fields), asked, tmp_path / "one")
    assert error.reason == reason
    assert said in f"{error.message} {error.hint}"


def test_no_program_that_checks_signatures(context: Callable[..., Context], tmp_path: Path) -> None:
    env = {**context().env, "PATH": str(tmp_path)}
    error = failure(context(env=env), request("other"), tmp_path / "one")
    assert (error.reason, error.exit_code, "gpgv" in error.hint) == ("no-gpgv", 23, True)


def test_resolve(context: Callable[..., Context]) -> None:
    asked = request("other")
    assert deb.resolve(context(offline=True), asked) == asked.version
