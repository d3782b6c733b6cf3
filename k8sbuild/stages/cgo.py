"""The C compiler of programs that need cgo."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k8sbuild.build import host_platform
from k8sbuild.engine.address import parse
from k8sbuild.engine.inside import inside, shared
from k8sbuild.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k8sbuild.engine.context import StepContext
    from k8sbuild.engine.go import Go

__all__ = ["environment", "ldflags", "program", "warning", "with_compiler"]

#: The C library is linked in too, without what it has for debuggers: Go's own ``-s`` comes before flags of its own
#: that make zig keep that, and the folders that it lay in.
_LDFLAGS = ("-linkmode=external", "'-extldflags=-static -s'")
_COMPILERS = ("gcc", "clang")


def ldflags(params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the linker's flags for a program with cgo."""
    # Go's build id covers where the compiler lies, which is another place for everyone.
    return (*_LDFLAGS, *(("-buildid=",) if "cc" in params else ()))


def program(ctx: StepContext) -> None:
    """Compile one file of C to a static program, by a :class:`~k8sbuild.kinds.Step` that names this function.

    ``params`` are ``source`` (an address), ``cc`` (as of a ``GoBinary``, whose compiler is an input), ``flags``, and
    ``file``, the program's name. Where the source lies is in no byte of it.

    Raises:
        CompileError: ``no-c-compiler``.
    """
    p = ctx.params
    env = environment(ctx, ctx.env["PATH"])
    source = ctx.out / "source.c"
    source.write_bytes(ctx.read(p["source"]))
    ctx.exec([*shlex.split(env["CC"]), *p["flags"], "-static", "-s", "-o", p["file"], source.name], env=env)
    source.unlink()


def environment(ctx: StepContext, path: str) -> dict[str, str]:
    """Return what a compile with cgo needs besides: ``CC``, and a folder for what that keeps; what compiled is a fact.

    Args:
        path: PATH of the compile.

    Raises:
        CompileError: ``no-c-compiler``.
    """
    # What a compiler keeps, such as its C library compiled, stays as long as Go's cache, whose own folders have
    # names of two digits.
    env = {"PATH": path, "XDG_CACHE_HOME": str(inside(ctx).folders.gocache / "cc")}
    given = _locked(ctx)
    command = given or _found(ctx, path)
    version = ctx.exec([*shlex.split(command), "--version"], env=env).partition("\n")[0]
    ctx.facts["cc"] = version
    return {**env, "CC": command}


def warning(ctx: StepContext) -> str:
    """Return what is to be said of bytes that depend on this machine's compiler; nothing where it is a locked one."""
    if not ctx.params["cgo"] or "cc" in ctx.params:
        return ""
    return f"{ctx.name} is compiled with cgo (for: {_who(ctx)}): its bytes depend on {ctx.facts['cc']}"


def with_compiler(go: Go) -> Go:
    """Return ``go`` with the C compiler, where what it looks at has cgo.

    Raises:
        CompileError: ``no-c-compiler``.
    """
    if not go.ctx.params["cgo"]:
        return go
    return replace(go, env={**go.env, **environment(go.ctx, go.env["PATH"])})


def _locked(ctx: StepContext) -> str:
    """Return the command of the compiler that is a source of the build; ``""`` where there is none."""
    if "cc" not in ctx.params:
        return ""
    program, *arguments = shlex.split(ctx.params["cc"])
    address = parse(program)
    digest = ctx.tree(address.step).digest.removeprefix("sha256:")[:12]
    folder = shared(ctx, address.step, f"{address.name}-{digest}")
    if not os.access(folder / address.path, os.X_OK):
        raise CompileError(
            f"{ctx.name}: {program} is no program",
            reason="no-c-compiler",
            hint="GoBinary.cc is the address of a program in a source, and its arguments",
        )
    return shlex.join([str(folder / address.path), *arguments])


def _found(ctx: StepContext, path: str) -> str:
    """Return the compiler that the program's environment names, or this machine's."""
    named = ctx.env.get("CC", "")
    command = named or next((name for name in _COMPILERS if shutil.which(name, path=path)), "")
    platform = f"{ctx.params['os']}-{ctx.params['arch']}"
    if not command or not (named or platform == str(host_platform())):
        raise CompileError(
            f"{ctx.name} needs cgo (for: {_who(ctx)}), and there is no C compiler for {platform}",
            reason="no-c-compiler",
            hint="install gcc or clang, or take a version that needs no cgo"
            if not command
            else "name one in GoBinary.cc, for example the package ziglang",
        )
    return command


def _who(ctx: StepContext) -> str:
    return ", ".join(ctx.params.get("cgo_by", ())) or "the program itself"
