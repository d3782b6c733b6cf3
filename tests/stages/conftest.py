"""Contexts for run functions of stages, on a store of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.engine import local as local_files
from k8sbuild.engine.context import Folders, StepContext
from k8sbuild.engine.process import Processes
from k8sbuild.errors import BuildError
from k8sbuild.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from k8sbuild.engine.local import Files


def _taken(path: Path) -> Files:
    missing = BuildError(f"no {path}", reason="missing")
    return local_files.folder(path, missing) if path.is_dir() else local_files.file(path, missing)


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., StepContext]:
    """Return a function that makes a context: parameters, input files by address, local folders."""

    def make(
        params: dict[str, Any],
        *,
        inputs: dict[str, dict[str, bytes]] | None = None,
        local: dict[str, Path] | None = None,
        name: str = "codegen:toy/all",
        **fields: Any,
    ) -> StepContext:
        store = Store(tmp_path / "store")
        out = tmp_path / "out" / str(len(list(tmp_path.glob("out/*"))))
        out.mkdir(parents=True)
        trees = {
            address: store.save(store.add_files({path: (0o644, data) for path, data in files.items()}))
            for address, files in (inputs or {}).items()
        }
        folders = Folders(
            work=tmp_path / "work",
            cache=tmp_path / "cache",
            gocache=tmp_path / "gocache",
            scratch=tmp_path / "tmp",
            logs=tmp_path / "logs",
        )
        given: dict[str, Any] = {
            "cores": 1,
            "env": {"PATH": "/usr/bin:/bin"},
            "processes": Processes(),
            "progress": lambda *_: None,
            "warn": lambda text: None,
            **fields,
        }
        return StepContext(
            name=name,
            params=params,
            out=out,
            store=store,
            trees=trees,
            local_files={n: _taken(p) for n, p in (local or {}).items()},
            folders=folders,
            **given,
        )

    return make
