"""The user's own toolchain: what it is counts, not where it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from k8sbuild.engine.lower.sources import go_params, go_parts
from k8sbuild.errors import ToolError
from k8sbuild.golang.bootstrap import own_go
from k8sbuild.testing.files import write

if TYPE_CHECKING:
    from pathlib import Path


def toolchain(root: Path, compiler: str = "compiler", version: str = "go1.26.8\ntime 2026-01-01\n") -> Path:
    return write(root, {"VERSION": version, "bin/go": "go", "pkg/tool/linux_amd64/compile": compiler})


def params(root: Path) -> dict[str, str]:
    """Return what a compile step's key says."""
    source = SimpleNamespace(version="v0.0.1-go1.25.5.linux-amd64")
    program = SimpleNamespace(name="toy/main", plugin="toy", module=SimpleNamespace(name="main", source=""))
    r = SimpleNamespace(toolchains={"toy/main": source}, own_go=own_go(root))
    parts = go_parts(cast("Any", r), cast("Any", program), ())
    assert (parts.toolchain, parts.release, parts.pinned) == (str(root), "go1.26.8", "go1.25.5")
    return go_params(cast("Any", r), cast("Any", program))


def test_an_upgrade_in_place_is_another_toolchain_and_a_copy_is_not(tmp_path: Path) -> None:
    first = params(toolchain(tmp_path / "a"))
    assert first == params(toolchain(tmp_path / "b"))
    assert first["go"] == "go1.26.8"
    assert str(tmp_path) not in str(first)
    assert first != params(toolchain(tmp_path / "a", compiler="patched"))
    assert first != params(toolchain(tmp_path / "a", version="go1.26.8 X:jsonv2\n"))


def test_a_folder_without_go_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no Go toolchain in it"):
        own_go(tmp_path)
