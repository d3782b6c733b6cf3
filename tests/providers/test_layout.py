from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import FetchError, ResolveError
from k8sbuild.providers import gomod, layout
from k8sbuild.providers.base import Context, Request
from k8sbuild.testing.files import write

from . import upstream as fake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def lay(folder: Path, *names: str) -> Path:
    write(folder, {name: name for name in names})
    for name in names:
        (folder / name).chmod(0o775)
    return folder


def test_toolchain(tmp_path: Path) -> None:
    layout.toolchain(lay(tmp_path, "bin/go", "pkg/tool/linux_amd64/vet", "src/_go.mod", "src/a.go"))
    assert {name: mode for name, (mode, _) in fake.listing(tmp_path).items()} == {
        "bin/go": 0o755,
        "pkg/tool/linux_amd64/vet": 0o755,
        "src/a.go": 0o644,
        "src/go.mod": 0o644,
    }


def test_toolchain_without_go(tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        layout.toolchain(tmp_path)
    assert caught.value.reason == "bad-layout"


def test_as_is_keeps_what_is_executable(tmp_path: Path) -> None:
    lay(tmp_path, "run", "data", "vendor/x/go.mod")
    (tmp_path / "data").chmod(0o600)
    (tmp_path / "link").symlink_to("data")
    layout.as_is(tmp_path)
    assert {name: mode for name, (mode, _) in fake.listing(tmp_path).items()} == {
        "data": 0o644,
        "run": 0o755,
        "vendor/x/go.mod": 0o755,
    }


def test_module_is_what_its_zip_holds(tmp_path: Path) -> None:
    lay(
        tmp_path,
        "go.mod",
        "a/a.go",
        "vendor/x.go",
        "sub/go.mod",
        "sub/s.go",
        "go.work",
        ".git/config",
        "empty/vendor/y",
    )
    (tmp_path / "a/link").symlink_to("a.go")
    layout.module(tmp_path)
    assert {name: mode for name, (mode, _) in fake.listing(tmp_path).items()} == {"a/a.go": 0o644, "go.mod": 0o644}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "go.mod"]


def test_a_missing_staging_module(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text(fake.BASE["go.mod"])
    with pytest.raises(FetchError, match=r"staging/src/k8s\.io/api \(2 of 2"):
        layout.canonical(tmp_path, "v1.31.4")


def test_toolchain_versions(context: Callable[..., Context]) -> None:
    def ask(version: str) -> str:
        where = "golang.org/toolchain"
        request = Request(name="go", version=version, kind="gomod", location=where, layout="toolchain")
        return gomod.resolve(context(), request)

    exact = ask("1.25.5")
    assert exact.startswith("v0.0.1-go1.25.5.linux-")
    assert ask("go1.25.5") == ask(exact) == exact
    with pytest.raises(ResolveError) as caught:
        ask("1.25.x")
    assert caught.value.reason == "malformed-version"
