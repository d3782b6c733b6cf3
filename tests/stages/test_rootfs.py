"""Root file systems: what mmdebstrap is given, and what stops before it. tests/e2e runs the real one."""

from __future__ import annotations

import hashlib
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild import debian
from k8sbuild.errors import BuildError
from k8sbuild.stages import rootfs
from k8sbuild.testing.debian import package

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from k8sbuild.engine.context import StepContext

    Context = Callable[..., StepContext]

DEBS = "fetch:toy/debs"
#: Packs the archive that it is given, its arguments and its environment, instead of a system.
STAND_IN = """#!/bin/sh
for last; do target=$file; file=$last; done
printf '%s\\n' "$@" > "$TMPDIR/argv"
env > "$TMPDIR/env"
exec tar cf "$target" -C "$TMPDIR" .
"""


@pytest.fixture
def mmdebstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in on the path."""
    folder = tmp_path / "a bin"
    folder.mkdir()
    (folder / "mmdebstrap").write_text(STAND_IN)
    (folder / "mmdebstrap").chmod(0o755)
    monkeypatch.setattr(rootfs, "PATH", f"{folder}:/usr/bin:/bin")
    return folder / "mmdebstrap"


def run(context: Context, debs: dict[str, bytes], **fields: Any) -> StepContext:
    params = {"file": "sub/root.tar", "packages": DEBS, "arch": "arm64", "date": "2024-12-10T11:41:03Z", **fields}
    ctx = context(params, inputs={DEBS: debs}, name="package:toy/root")
    rootfs.rootfs(ctx)
    return ctx


def test_it_gets_an_archive_of_the_packages_alone(context: Context, mmdebstrap: Path) -> None:
    debs = {"b_1_all.deb": package("b"), "a_1_all.deb": package("a", depends="b")}
    ctx = run(context, debs)
    assert [path.name for path in ctx.out.iterdir()] == ["sub"], "nothing temporary is left"
    with tarfile.open(ctx.out / "sub/root.tar") as tar:
        files = {info.name: tar.extractfile(info).read() for info in tar if info.isreg()}  # type: ignore[union-attr]
    listed = {p.name: p for p in debian.packages(files["./Packages"].decode())}
    assert sorted(listed) == ["a", "b"]
    for p in listed.values():
        data = files[p.path]
        assert (p.sha256, p.size) == (hashlib.sha256(data).hexdigest(), len(data))
    argv = files["./argv"].decode().splitlines()
    assert {"--architectures=arm64", "--include=a,b", "--variant=essential"} <= set(argv)
    assert argv[-3:-1] == ["", str(ctx.out / "sub/root.tar")]
    assert argv[-1].startswith("deb [trusted=yes] copy:/")
    assert " " not in argv[-1].split("copy:")[1].removesuffix(" ./")
    env = dict(line.partition("=")[::2] for line in files["./env"].decode().splitlines())
    assert env["SOURCE_DATE_EPOCH"] == "1733830863"
    assert "HTTP_PROXY" not in env
    assert ctx.facts == {"packages": 2}


@pytest.mark.usefixtures("mmdebstrap")
@pytest.mark.parametrize("data", [b"no package", package("a")[:80]])
def test_what_is_no_package(context: Context, data: bytes) -> None:
    with pytest.raises(BuildError, match=r"x\.deb is no Debian package") as caught:
        run(context, {"x.deb": data})
    assert caught.value.reason == "bad-package"


def test_mmdebstrap_fails(context: Context, mmdebstrap: Path) -> None:
    mmdebstrap.write_text("#!/bin/sh\necho E: no; exit 25\n")
    with pytest.raises(BuildError, match="mmdebstrap failed") as caught:
        run(context, {"a.deb": package("a")})
    assert (caught.value.reason, caught.value.message.splitlines()[-1]) == ("command-failed", "E: no")


def test_no_mmdebstrap(context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rootfs, "PATH", str(tmp_path))
    with pytest.raises(BuildError) as caught:
        run(context, {})
    assert (caught.value.reason, caught.value.exit_code) == ("no-mmdebstrap", 23)
    assert caught.value.hint == "apt-get install mmdebstrap"


@pytest.mark.usefixtures("mmdebstrap")
def test_no_name_spaces(context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "max").write_text("0\n")
    monkeypatch.setattr(debian, "_USER_NAMESPACES", (str(tmp_path / "none"), str(tmp_path / "max")))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BuildError) as caught:
        run(context, {})
    assert caught.value.reason == "no-user-namespaces"
