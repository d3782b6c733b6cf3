"""Installing: what goes where, and what is refused."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from k8sbuild import hookimpl
from k8sbuild.build import host_platform
from k8sbuild.errors import PackageError, StoreError
from k8sbuild.install import install
from k8sbuild.kinds import PluginInfo, Target
from k8sbuild.project import Request

if TYPE_CHECKING:
    from pathlib import Path

NAME = f"box-v1.0.0-{host_platform()}"
MEMBERS = {
    "box": (0o755, b"#!program"),
    "box.service": (0o644, b"[Unit]\n"),
    "box.env.example": (0o644, b"#BOX_A=1\n"),
    "licences/example.org/dep/LICENSE": (0o644, b"free"),
}


class _Box:
    @hookimpl
    def k8sbuild_plugin(self) -> PluginInfo:
        return PluginInfo(name="box", targets=("box",))

    @hookimpl
    def k8sbuild_targets(self) -> list[Target]:
        names = {"box{suffix}": "compile:box/box/box", "box-{k8s}-{os}-{arch}.tar.zst": "package:box/archive/x"}
        return [Target(name="box", help="a box", artifacts=names, defaults={"k8s": "v1.0.0"})]


def archive(name: str = NAME) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, (mode, data) in MEMBERS.items():
            info = tarfile.TarInfo(f"{name}/{path}")
            info.mode, info.size = mode, len(data)
            tar.addfile(info, io.BytesIO(data))
    return zstandard.ZstdCompressor().compress(out.getvalue())


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    folder = tmp_path / "dist/artifacts"
    folder.mkdir(parents=True)
    (folder / "box").write_bytes(MEMBERS["box"][1])
    (folder / f"{NAME}.tar.zst").write_bytes(archive())
    sign(folder)
    return folder


def sign(folder: Path) -> None:
    files = [path for path in sorted(folder.iterdir()) if path.name != "SHA256SUMS"]
    lines = [f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join([*lines, f"{'0' * 64}  {NAME}.tar\n"]))


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    plugin: Any = _Box()
    plugin.__file__ = __file__
    return Request(flags={"target": "box", "plugin": "box"}, env={}, root=tmp_path, extra=(("box", plugin),))


def listing(root: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(p.relative_to(root)): (p.stat().st_mode & 0o777, p.read_bytes()) for p in files}


def test_every_file_has_its_place_and_mode(request_: Request, artifacts: Path, tmp_path: Path) -> None:
    made = install(request_, root=tmp_path / "stage")
    assert listing(tmp_path / "stage") == {
        "usr/local/bin/box": (0o755, b"#!program"),
        "etc/systemd/system/box.service": (0o644, b"[Unit]\n"),
        "etc/default/box": (0o644, b"#BOX_A=1\n"),
    }
    assert sorted(made.files) == sorted(listing(tmp_path / "stage"))
    assert made.archive == str(artifacts / f"{NAME}.tar.zst")


def test_settings_of_the_user_stay(request_: Request, artifacts: Path, tmp_path: Path) -> None:
    settings = tmp_path / "stage/etc/default/box"
    settings.parent.mkdir(parents=True)
    settings.write_text("BOX_A=2\n")
    assert install(request_, root=tmp_path / "stage").kept == ("etc/default/box",)
    assert settings.read_text() == "BOX_A=2\n"


def test_a_program_is_replaced_not_written_into(request_: Request, artifacts: Path, tmp_path: Path) -> None:
    program = tmp_path / "stage/usr/local/bin/box"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"old")
    with program.open("rb") as running:
        install(request_, root=tmp_path / "stage")
        assert running.read() == b"old"
    assert program.read_bytes() == b"#!program"


def test_dry_writes_nothing(request_: Request, artifacts: Path, tmp_path: Path) -> None:
    assert len(install(request_, root=tmp_path / "stage", dry=True).files) == 3
    assert not (tmp_path / "stage").exists()


@pytest.mark.parametrize("name", ["box", f"{NAME}.tar.zst"])
def test_a_changed_artifact_stops_everything(request_: Request, artifacts: Path, tmp_path: Path, name: str) -> None:
    with (artifacts / name).open("ab") as file:
        file.write(b"more")
    with pytest.raises(PackageError, match=f"{name} is not what the build made") as caught:
        install(request_, root=tmp_path / "stage")
    assert caught.value.reason == "sum-differs"
    assert not (tmp_path / "stage").exists()


def test_without_a_build_it_says_so(request_: Request, tmp_path: Path) -> None:
    with pytest.raises(PackageError) as caught:
        install(request_, root=tmp_path / "stage")
    assert caught.value.reason == "not-built"


def test_an_archive_of_another_platform_does_not_count(request_: Request, artifacts: Path, tmp_path: Path) -> None:
    (artifacts / f"{NAME}.tar.zst").rename(artifacts / "box-v1.0.0-linux-none.tar.zst")
    sign(artifacts)
    with pytest.raises(PackageError) as caught:
        install(request_, root=tmp_path / "stage")
    assert caught.value.reason == "not-built"


def test_other_archives_of_the_target_are_not_installed(request_: Request, artifacts: Path, tmp_path: Path) -> None:
    (artifacts / f"box-images-v1.0.0-{host_platform()}.tar.zst").write_bytes(b"images")
    sign(artifacts)
    assert install(request_, root=tmp_path / "stage").archive.endswith(f"/{NAME}.tar.zst")


def test_two_versions_are_ambiguous(request_: Request, artifacts: Path, tmp_path: Path) -> None:
    (artifacts / f"box-v1.0.1-{host_platform()}.tar.zst").write_bytes(archive())
    sign(artifacts)
    with pytest.raises(PackageError, match=r"v1\.0\.1") as caught:
        install(request_, root=tmp_path / "stage")
    assert caught.value.reason == "several-archives"


def test_a_root_that_is_no_folder_is_named(request_: Request, artifacts: Path, tmp_path: Path) -> None:
    (tmp_path / "stage").write_text("a file")
    with pytest.raises(StoreError, match="stage"):
        install(request_, root=tmp_path / "stage")


SCRIPT = """#!/bin/sh
[ "$1" = install ] || exit 2
root=${2#--root=}
PATH=/bin:/usr/bin
[ "$3" != --dry-run ] || { echo "installed $root/opt/box"; echo "kept      $root/etc/default/box"; exit; }
[ -e "$root/refuse" ] && { echo "box: no room" >&2; exit 1; }
mkdir -p "$root/opt" && cp "$0" "$root/opt/box" && cp "$(dirname "$0")"/../box-images.tar "$root/opt"
echo "installed $root/opt/box"
echo "kept      $root/etc/default/box"
echo "next: start it"
"""


@pytest.fixture
def own_installer(request_: Request, artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    """Give the target an installer, which takes images from beside the folder that it is in."""
    monkeypatch.setitem(MEMBERS, "box", (0o755, SCRIPT.encode()))
    (artifacts / f"{NAME}.tar.zst").write_bytes(archive())
    (artifacts / "box-images.tar").write_bytes(b"images")
    sign(artifacts)
    offered = _Box.k8sbuild_targets
    monkeypatch.setattr(
        _Box, "k8sbuild_targets", hookimpl(lambda self: [replace(t, installer="box") for t in offered(self)])
    )
    return request_


def test_a_target_may_bring_its_installer(own_installer: Request, tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    would = install(own_installer, root=stage, dry=True)
    assert not stage.exists()
    made = install(own_installer, root=stage)
    assert (made.files, made.kept) == (would.files, would.kept) == (("opt/box",), ("etc/default/box",))
    assert listing(stage) == {"opt/box": (0o755, SCRIPT.encode()), "opt/box-images.tar": (0o644, b"images")}


def test_an_installer_that_fails_is_heard(own_installer: Request, tmp_path: Path) -> None:
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage/refuse").touch()
    with pytest.raises(PackageError, match="box: no room") as caught:
        install(own_installer, root=tmp_path / "stage")
    assert caught.value.reason == "installer-failed"


def test_an_installer_for_another_machine_says_where_to_run_it(
    own_installer: Request, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MEMBERS, "box", (0o755, b"\x7fELF of another machine"))
    (artifacts / f"{NAME}.tar.zst").write_bytes(archive())
    sign(artifacts)
    with pytest.raises(PackageError, match="cannot run here") as caught:
        install(own_installer, root=tmp_path / "stage")
    assert "on a machine" in str(caught.value.hint)
