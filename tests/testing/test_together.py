"""Steps that run at the same time and read the same input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from k8sbuild.testing import steps

if TYPE_CHECKING:
    from pathlib import Path


def test_many_readers_of_one_program_take_turns(tmp_path: Path) -> None:
    script = b"#!/bin/sh\nsleep 0.01\n" + b"#" * 3_000_000
    programs = {f"program{n}": (0o755, script) for n in range(4)}
    warnings: list[str] = []

    contexts = [
        steps.context(
            tmp_path, {}, name=f"validate:tiny/check-{n}", inputs={"compile:tiny/tiny": programs}, warn=warnings.append
        )
        for n in range(16)
    ]

    def read(number: int) -> str:
        ctx = contexts[number]
        return ctx.exec([ctx.path(f"compile:tiny/tiny/program{number % 4}")])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(16))) == [""] * 16
    assert warnings == []
