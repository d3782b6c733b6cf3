"""Steps that run at the same time and read the same input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from k8sbuild.engine.context import Folders, StepContext
from k8sbuild.engine.process import Processes
from k8sbuild.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def test_many_readers_of_one_program_take_turns(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    script = b"#!/bin/sh\nsleep 0.01\n" + b"#" * 3_000_000
    tree = store.save(store.add_files({f"program{n}": (0o755, script) for n in range(4)}))
    folders = Folders(
        work=tmp_path / "work", cache=tmp_path, gocache=tmp_path, scratch=tmp_path, logs=tmp_path / "logs"
    )

    warnings: list[str] = []

    def read(number: int) -> str:
        ctx = StepContext(
            name=f"validate:tiny/check-{number}",
            params={},
            out=tmp_path,
            cores=1,
            store=store,
            trees={"compile:tiny/tiny": tree},
            local_files={},
            folders=folders,
            env={"PATH": "/usr/bin:/bin"},
            processes=Processes(),
            progress=lambda *_: None,
            warn=warnings.append,
        )
        return ctx.exec([ctx.path(f"compile:tiny/tiny/program{number % 4}")])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(16))) == [""] * 16
    assert warnings == []
