from __future__ import annotations

import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import FetchError
from k8sbuild.providers.extract import Limits, extract, extract_zip

from . import upstream as fake

if TYPE_CHECKING:
    from pathlib import Path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


@pytest.mark.parametrize(
    "info",
    [
        member("/etc/x"),
        member("../x"),
        member("a/../../x"),
        member("a\\..\\x"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("a/link", tarfile.SYMTYPE, "../../x"),
        member("hard", tarfile.LNKTYPE, "../x"),
        member("dev", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: info.name + info.linkname,
)
def test_hostile_tars_are_refused(info: tarfile.TarInfo, tmp_path: Path) -> None:
    archive = fake.tar(tmp_path / "x.tgz", (member("good"), b"1"), (info, b""))
    (tmp_path / "out").mkdir()
    with pytest.raises(FetchError) as caught:
        extract(archive, tmp_path / "out")
    assert caught.value.reason == "archive-unsafe"
    assert [path.name for path in tmp_path.iterdir()] in (["x.tgz", "out"], ["out", "x.tgz"])


def test_a_file_below_a_link_is_not_written_through_it(tmp_path: Path) -> None:
    archive = fake.tar(
        tmp_path / "x.tgz", (member("d/f"), b"1"), (member("l", tarfile.SYMTYPE, "d"), b""), (member("l/g"), b"2")
    )
    (tmp_path / "out").mkdir()
    extract(archive, tmp_path / "out")
    assert sorted(fake.listing(tmp_path / "out")) == ["d/f", "l/g"]


def test_links_inside_become_copies(tmp_path: Path) -> None:
    links = ((member("b", tarfile.SYMTYPE, "a"), b""), (member("c", tarfile.LNKTYPE, "a"), b""))
    archive = fake.tar(tmp_path / "x.tgz", (member("a", mode=0o755), b"1"), *links)
    (tmp_path / "out").mkdir()
    extract(archive, tmp_path / "out")
    assert len(set(fake.listing(tmp_path / "out").values())) == 1
    assert sorted(fake.listing(tmp_path / "out")) == ["a", "b", "c"]


def test_symbolic_links_are_left_out_where_asked(tmp_path: Path) -> None:
    links = ((member("b", tarfile.SYMTYPE, "a"), b""), (member("c", tarfile.LNKTYPE, "a"), b""))
    archive = fake.tar(tmp_path / "x.tgz", (member("a"), b"1"), *links)
    (tmp_path / "out").mkdir()
    extract(archive, tmp_path / "out", links=False)
    assert sorted(fake.listing(tmp_path / "out")) == ["a", "c"]


def test_two_members_on_one_path(tmp_path: Path) -> None:
    archive = fake.tar(tmp_path / "x.tgz", (member("a"), b"1"), (member("./a"), b"2"))
    (tmp_path / "out").mkdir()
    with pytest.raises(FetchError, match="two members") as caught:
        extract(archive, tmp_path / "out")
    assert caught.value.reason == "archive-unsafe"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_hostile_zips_are_refused(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(name, "1")
    with pytest.raises(FetchError) as caught:
        extract(tmp_path / "x.zip", tmp_path / "out")
    assert caught.value.reason == "archive-unsafe"
    assert not (tmp_path / "x").exists()


def test_a_zip_member_outside_the_prefix(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("m@v1/a", "1")
        archive.writestr("other/a", "1")
    with pytest.raises(FetchError, match="not below"):
        extract_zip(tmp_path / "x.zip", tmp_path / "out", prefix="m@v1/")


@pytest.mark.parametrize("limits", [Limits(size=1000), Limits(ratio=10, ratio_from=0), Limits(count=2)], ids=repr)
def test_bombs(limits: Limits, tmp_path: Path) -> None:
    archive = fake.tar(tmp_path / "x.tgz", *((member(f"f{n}"), b"0" * 100_000) for n in range(3)))
    (tmp_path / "out").mkdir()
    with pytest.raises(FetchError) as caught:
        extract(archive, tmp_path / "out", limits)
    assert caught.value.reason == "archive-bomb"


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04broken", b"\x28\xb5\x2f\xfdbroken", b"\x1f\x8bbroken"])
def test_what_is_no_archive(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(FetchError) as caught:
        extract(tmp_path / "x", tmp_path / "out")
    assert caught.value.reason == "archive-damaged"


def test_a_truncated_tar(tmp_path: Path, upstream: fake.Upstream) -> None:
    content = upstream.archive.read_bytes()
    (tmp_path / "x").write_bytes(content[: len(content) // 2])
    with pytest.raises(FetchError) as caught:
        extract(tmp_path / "x", tmp_path / "out")
    assert caught.value.reason == "archive-damaged"
