"""Programs that need cgo: with a C compiler, and without one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.build import host_platform
from k8sbuild.errors import CompileError
from k8sbuild.stages import cgo
from k8sbuild.stages.cgo import environment, ldflags, warning
from k8sbuild.testing import steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8sbuild.engine.context import StepContext

    Context = Callable[..., StepContext]


@pytest.fixture
def program(context: Context, tmp_path: Path) -> Callable[..., StepContext]:
    """Return a function that makes the context of a compile; ``tools`` are the compilers of its PATH."""

    def make(*tools: str, arch: str = host_platform().arch, **fields: Any) -> StepContext:
        for name in tools:
            (tmp_path / name).write_text(f"#!/bin/sh\necho {name} 12.2 for tests\necho more\n")
            (tmp_path / name).chmod(0o755)
        return context(
            {"os": "linux", "arch": arch, "cgo": True, "cgo_by": ["kine v0.13.6"]}, name="compile:toy/server", **fields
        )

    return make


def test_the_machines_compiler_is_used_and_told(program: Callable[..., StepContext], tmp_path: Path) -> None:
    ctx = program("clang")
    assert environment(ctx, str(tmp_path))["CC"] == "clang"
    assert ctx.facts["cc"] == "clang 12.2 for tests"
    said = "compile:toy/server is compiled with cgo (for: kine v0.13.6): its bytes depend on clang 12.2 for tests"
    assert warning(ctx) == said
    assert environment(program("gcc"), str(tmp_path))["CC"] == "gcc"


def test_a_compiler_that_the_program_names(program: Callable[..., StepContext], tmp_path: Path) -> None:
    ctx = program("zig", arch="riscv64", env={"CC": f"{tmp_path}/zig cc"})
    assert environment(ctx, str(tmp_path))["CC"] == f"{tmp_path}/zig cc"


ZIG = b"#!/bin/sh\necho zig for tests $2 >&1; mkdir -p $XDG_CACHE_HOME; touch $XDG_CACHE_HOME/used\n"


def locked(folder: Path, cc: str, **fields: Any) -> StepContext:
    inputs = {"fetch:toy/zig": {"bin/zig": (0o755, ZIG), "lib/a.c": (0o644, b"")}}
    params = {"os": "linux", "arch": "riscv64", "cgo": True, "cc": cc}
    return steps.context(folder, params, name="compile:toy/a", inputs=inputs, **fields)


def test_a_compiler_that_is_a_source_is_shared_and_told_as_a_fact_only(tmp_path: Path) -> None:
    ctx = locked(tmp_path, "fetch:toy/zig/bin/zig cc -target riscv64-linux-musl")
    env = environment(ctx, "/usr/bin:/bin")
    program, *arguments = env["CC"].split()
    assert arguments == ["cc", "-target", "riscv64-linux-musl"]
    assert Path(program).parents[2].name == "toolchains"
    assert Path(program).parents[1].name.startswith("zig-")
    assert (Path(program).parents[1] / "lib/a.c").is_file()
    assert ctx.facts["cc"] == "zig for tests -target"
    assert not warning(ctx)
    assert "-buildid=" in ldflags(ctx.params), "it covers the compiler's folder"
    assert "-buildid=" not in ldflags({})
    assert "'-extldflags=-static -s'" in ldflags(ctx.params), "debug sections name the compiler's folders"
    # What it keeps is beside what Go keeps, not at the user's.
    assert Path(env["XDG_CACHE_HOME"], "used").is_file()


@pytest.mark.parametrize("path", ["lib/a.c", "bin/zag"])
def test_a_source_that_is_no_compiler(tmp_path: Path, path: str) -> None:
    with pytest.raises(CompileError, match=f"fetch:toy/zig/{path} is no program") as caught:
        environment(locked(tmp_path, f"fetch:toy/zig/{path} cc"), "/usr/bin:/bin")
    assert caught.value.reason == "no-c-compiler"


@pytest.mark.parametrize(("tools", "arch", "hint"), [([], "", "install gcc"), (["gcc"], "riscv64", "GoBinary.cc")])
def test_no_compiler(
    program: Callable[..., StepContext], tmp_path: Path, tools: list[str], arch: str, hint: str
) -> None:
    ctx = program(*tools, arch=arch or host_platform().arch)
    with pytest.raises(CompileError, match=r"needs cgo \(for: kine v0.13.6\), and there is no C compiler") as caught:
        environment(ctx, str(tmp_path))
    assert caught.value.reason == "no-c-compiler"
    assert hint in caught.value.hint


CC = b"""#!/bin/sh
[ "$2" = --version ] && { echo zig for tests; exit; }
while [ "$1" != -o ]; do words="$words $1"; shift; done
{ echo "$words"; cat "$3"; } >"$2"
"""


def test_one_file_of_c(tmp_path: Path) -> None:
    inputs = {"fetch:toy/zig": {"zig": (0o755, CC)}, "fetch:toy/source": {"deep/wait.c": (0o644, b"int main;")}}
    params = {"source": "fetch:toy/source/deep/wait.c", "cc": "fetch:toy/zig/zig cc", "flags": ["-Os"], "file": "wait"}
    ctx = steps.context(tmp_path, params, name="compile:toy/wait", inputs=inputs, env={"PATH": "/usr/bin:/bin"})
    cgo.program(ctx)
    assert [path.name for path in ctx.out.iterdir()] == ["wait"]
    assert (ctx.out / "wait").read_text() == " cc -Os -static -s\nint main;"
    assert ctx.facts["cc"] == "zig for tests"
