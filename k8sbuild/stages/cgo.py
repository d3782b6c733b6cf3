"""The C compiler of programs that need cgo."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

from k8sbuild.build import host_platform
from k8sbuild.errors import CompileError

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

__all__ = ["LDFLAGS", "compiler"]

#: The C library is linked in too.
LDFLAGS = ("-linkmode=external", "'-extldflags=-static'")
_COMPILERS = ("gcc", "clang")


def compiler(ctx: StepContext, path: str) -> str:
    """Return ``CC`` for a compile with cgo: the program's own, or this machine's; what compiled is told, and a fact.

    Args:
        path: PATH of the compile.

    Raises:
        CompileError: ``no-c-compiler``.
    """
    who = ", ".join(ctx.params.get("cgo_by", ())) or "the program itself"
    named = ctx.env.get("CC", "")
    command = named or next((name for name in _COMPILERS if shutil.which(name, path=path)), "")
    platform = f"{ctx.params['os']}-{ctx.params['arch']}"
    if not command or not (named or platform == str(host_platform())):
        raise CompileError(
            f"{ctx.name} needs cgo (for: {who}), and there is no C compiler for {platform}",
            reason="no-c-compiler",
            hint="install gcc or clang, or take a version that needs no cgo"
            if not command
            else "set CC in GoBinary.env, for example to `python -m ziglang cc -target …`",
        )
    version = ctx.exec([*shlex.split(command), "--version"], env={"PATH": path}).partition("\n")[0]
    ctx.warn(f"{ctx.name} is compiled with cgo (for: {who}): its bytes depend on {version}")
    ctx.facts["cc"] = version
    return command
