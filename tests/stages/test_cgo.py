"""Programs that need cgo: with a C compiler, and without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.build import host_platform
from k8sbuild.errors import CompileError
from k8sbuild.stages.cgo import compiler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from k8sbuild.engine.context import StepContext

    Context = Callable[..., StepContext]


@pytest.fixture
def program(context: Context, tmp_path: Path) -> Callable[..., StepContext]:
    """Return a function that makes the context of a compile; ``tools`` are the compilers of its PATH."""

    def make(*tools: str, arch: str = host_platform().arch, **fields: Any) -> StepContext:
        for name in tools:
            (tmp_path / name).write_text(f"#!/bin/sh\necho {name} 12.2 for tests\necho more\n")
            (tmp_path / name).chmod(0o755)
        return context({"os": "linux", "arch": arch, "cgo_by": ["kine v0.13.6"]}, name="compile:toy/server", **fields)

    return make


def test_the_machines_compiler_is_used_and_told(program: Callable[..., StepContext], tmp_path: Path) -> None:
    told: list[str] = []
    ctx = program("clang", warn=told.append)
    assert compiler(ctx, str(tmp_path)) == "clang"
    assert ctx.facts["cc"] == "clang 12.2 for tests"
    assert told == [
        "compile:toy/server is compiled with cgo (for: kine v0.13.6): its bytes depend on clang 12.2 for tests"
    ]
    assert compiler(program("gcc"), str(tmp_path)) == "gcc"


def test_a_compiler_that_the_program_names(program: Callable[..., StepContext], tmp_path: Path) -> None:
    ctx = program("zig", arch="riscv64", env={"CC": f"{tmp_path}/zig cc"})
    assert compiler(ctx, str(tmp_path)) == f"{tmp_path}/zig cc"


@pytest.mark.parametrize(("tools", "arch", "hint"), [([], "", "install gcc"), (["gcc"], "riscv64", "GoBinary.env")])
def test_no_compiler(
    program: Callable[..., StepContext], tmp_path: Path, tools: list[str], arch: str, hint: str
) -> None:
    ctx = program(*tools, arch=arch or host_platform().arch)
    with pytest.raises(CompileError, match=r"needs cgo \(for: kine v0.13.6\), and there is no C compiler") as caught:
        compiler(ctx, str(tmp_path))
    assert caught.value.reason == "no-c-compiler"
    assert hint in caught.value.hint
