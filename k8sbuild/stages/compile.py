"""The compile stage: one static Go program, with a compile cache of ours."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild.engine.address import parse
from k8sbuild.engine.inside import inside
from k8sbuild.errors import BuildError, CompileError, Interrupted

from . import cgo
from .modules import Modules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from k8sbuild.engine.context import StepContext
    from k8sbuild.engine.go import Go

__all__ = ["LONG", "Counter", "go_binary"]

#: MiB that one compiler process of Kubernetes' largest packages takes.
_COMPILER = 700

#: Compiled packages after which a compile is taken for a long one.
LONG = 20

_PLACE = re.compile(r"^(?P<file>[^\s:]+\.go):(?P<line>\d+):(?:(?P<column>\d+):)? (?P<what>.*)$")


def go_binary(ctx: StepContext) -> None:
    """Compile ``params["package"]`` of a Go module into ``ctx.out``."""
    p = ctx.params
    vendored = p.get("vendored", False)
    modules = None if vendored else Modules(ctx, inside(ctx).go_parts[p["module"]].zips)
    go = cgo.with_compiler(ctx.go(p["module"], os=p["os"], arch=p["arch"], cgo=p["cgo"]))
    if said := cgo.warning(ctx):
        ctx.warn(said)
    output = ctx.out / p["output"]
    flags = [
        f"-mod={'vendor' if vendored else 'readonly'}",
        "-trimpath",
        "-buildvcs=false",
        *([f"-tags={','.join(p['tags'])}"] if p["tags"] else []),
    ]
    counter = Counter(ctx, lambda log: _packages(go, ["list", *flags, "-deps", p["package"]], log))
    # Of a program of tests, go does not name the packages that it compiles. Own code is looked at by a check.
    verb = ["test", "-c", "-vet=off"] if p.get("test") else ["build", "-v"]
    argv = [*verb, f"-p={_parallel(ctx)}", *flags, f"-ldflags={_ldflags(p)}", "-o", str(output)]
    try:
        compile_ = partial(go, *argv, p["package"], on_line=counter.line)
        modules.sound(compile_) if modules else compile_()
    except BuildError as error:
        if error.reason != "command-failed":
            raise
        raise _compile_error(ctx, go) from error
    output.chmod(0o755)
    ctx.facts["compiled"] = counter.done
    ctx.facts["toolchain"] = go.parts.release
    ctx.facts["size"] = output.stat().st_size


def _ldflags(params: Mapping[str, Any]) -> str:
    values = (f"-X '{name}={value}'" for name, value in params["ldflags"].items())
    return " ".join(["-s", "-w", *(cgo.ldflags(params) if params["cgo"] else ()), *values])


def _parallel(ctx: StepContext) -> int:
    from k8sbuild.engine.pool import available_memory

    return max(1, min(ctx.cores, available_memory() // _COMPILER))


def _packages(go: Go, words: list[str], log: Path) -> int:
    """Return how many packages the program has; 0 where that cannot be told."""
    env = {**go.ctx.env, **go.env}
    code, output = inside(go.ctx).processes.run([go.tool("go"), *words], cwd=go.module, env=env, log=log)
    return 0 if code else len(output.splitlines())


class Counter:
    """Counts the packages that ``go build -v`` names as it compiles them; the program's own is the last one.

    Of how many is asked beside a compile that is known to be a long one only: the answer costs more than a second.
    """

    def __init__(self, ctx: StepContext, count: Callable[[Path], int]) -> None:
        self._ctx = ctx
        self._count = count
        self._total = 0
        self.done = 0
        self.asking: threading.Thread | None = None
        # Its import path ends so, whether it is named by a folder of the module or in full.
        self._program = ctx.params["package"].removeprefix(".")
        ctx.progress("linking what the compile cache has", 0, 0)

    def line(self, text: str) -> None:
        if text and " " not in text and not text.startswith("#"):
            self.done += 1
            self._ctx.progress("packages", self.done, self._total)
            if self.done == LONG:
                self.asking = threading.Thread(target=self._ask, name="count packages", daemon=True)
                self.asking.start()
            if text.endswith(self._program):
                self._ctx.progress("linking", 0, 0)

    def _ask(self) -> None:
        with suppress(Interrupted):
            self._total = self._count(self._ctx.log_file.with_suffix(".packages.log"))


def _compile_error(ctx: StepContext, go: Go) -> CompileError:
    """Return an error that names file, line and who touched the file."""
    text = ctx.log_file.read_text(encoding="utf-8", errors="replace").rpartition("\n$ ")[2]
    places = [match for line in text.splitlines() if (match := _PLACE.match(line.strip()))]
    shown = []
    for match in places[:8]:
        who = _who(ctx, match["file"], go)
        shown.append(f"{match['file']}:{match['line']}: {match['what']}" + (f" ({who})" if who else ""))
    rest = [line for line in text.splitlines()[1:] if line and not line.startswith("exit ")][-8:]
    return CompileError(
        "\n".join([f"{ctx.name}: the compiler failed", *(shown or rest)]),
        reason="compile-failed",
        hint=_hint(go.env["GOMODCACHE"], text),
        log=str(ctx.log_file),
        details={"places": [match.groupdict() for match in places]},
    )


def _hint(modules: str, text: str) -> str:
    """Say what to try: files of modules are nobody's to mend, and the next run looks at them before it compiles."""
    if "no such file or directory" in text and ("reading file://" in text or modules in text):
        return f"a file of {modules} went while this compiled; run the same command again"
    return "`k8sbuild shell` opens the tree; `k8sbuild patch-refresh --start` makes an edit tree"


def _who(ctx: StepContext, file: str, go: Go) -> str:
    """Say which patch or overlay touched a file that the compiler names, relative to the module or absolute."""
    path = (go.module / file).resolve() if not file.startswith("/") else Path(file)
    for address in [*go.parts.trees, ctx.params["module"]]:
        root = (inside(ctx).folders.work / parse(address).folder).resolve()
        if path.is_relative_to(root):
            name = path.relative_to(root).as_posix()
            touched: Any = inside(ctx).input_facts.get(address, {}).get("touched", {}).get(name)
            if touched:
                return "touched by " + ", ".join(f"{plugin}: {patch}" for plugin, patch in touched)
            return f"of {address}"
    return ""
