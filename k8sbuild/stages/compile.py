"""The compile stage: one static Go program, with a compile cache of ours."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import BuildError, CompileError, Interrupted
from k8sbuild.golang import modcache

from .cgo import LDFLAGS, compiler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from k8sbuild.engine.context import StepContext

__all__ = ["LONG", "Counter", "environment", "go_binary", "go_environment", "with_sound_modules"]

#: MiB that one compiler process of Kubernetes' largest packages takes.
_COMPILER = 700

#: Compiled packages after which a compile is taken for a long one.
LONG = 20

_PLACE = re.compile(r"^(?P<file>[^\s:]+\.go):(?P<line>\d+):(?:(?P<column>\d+):)? (?P<what>.*)$")


def go_binary(ctx: StepContext) -> None:
    """Compile ``params["package"]`` of a Go module into ``ctx.out``."""
    p = ctx.params
    with ThreadPoolExecutor(max_workers=1) as pool:
        # Looks at the toolchain and the modules, beside the source trees.
        environ = pool.submit(go_environment, ctx)
        module, *_ = ctx.paths([p["module"], *p["trees"]])
    env = environ.result()
    if p["cgo"]:
        env["CC"] = compiler(ctx, env["PATH"])
    go = str(Path(env["GOROOT"]) / "bin" / "go")
    output = ctx.out / p["output"]
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", *([f"-tags={','.join(p['tags'])}"] if p["tags"] else [])]
    counter = Counter(ctx, lambda log: _packages(ctx, [go, "list", *flags, "-deps", p["package"]], module, env, log))
    argv = [go, "build", "-v", f"-p={_parallel(ctx)}", *flags, f"-ldflags={_ldflags(p)}", "-o", str(output)]
    try:
        with_sound_modules(ctx, lambda: ctx.exec([*argv, p["package"]], cwd=module, env=env, on_line=counter.line))
    except BuildError as error:
        if error.reason != "command-failed":
            raise
        raise _compile_error(ctx, module) from error
    output.chmod(0o755)
    ctx.facts["compiled"] = counter.done
    ctx.facts["size"] = output.stat().st_size


def with_sound_modules(ctx: StepContext, compile_: Callable[[], object]) -> None:
    """Compile from modules that are what the locked sums say.

    What is extracted already is checked before, what ``go`` extracts is checked afterwards; a wrong one is told,
    removed, extracted anew and compiled again.

    Raises:
        CompileError: ``digest-mismatch``, the second time is no better.
    """
    sums = {name: pair[0] for name, pair in json.loads(ctx.read(f"{ctx.params['modules']}/sums.json")).items()}
    _hold_modules(ctx, sums)
    fresh = modcache.absent(_modcache(ctx), sums)
    compile_()
    if _hold_modules(ctx, fresh):
        compile_()
        if wrong := _hold_modules(ctx, fresh):
            raise CompileError(
                f"{ctx.name}: what go extracts differs from its sums: {', '.join(wrong)}",
                reason="digest-mismatch",
                hint=f"look at the disk of {ctx.folders.cache}",
            )


def _hold_modules(ctx: StepContext, sums: Mapping[str, str]) -> list[str]:
    wrong = modcache.check(_modcache(ctx), sums)
    if wrong:
        ctx.warn(f"changed in {_modcache(ctx)}, and extracted anew: {', '.join(wrong[:5])}")
    return wrong


def _modcache(ctx: StepContext) -> Path:
    return ctx.folders.cache / "modcache"


def go_environment(ctx: StepContext) -> dict[str, str]:
    """Return the whole environment of ``go`` for a step."""
    p = ctx.params
    temporary = ctx.folders.scratch / "go"
    temporary.mkdir(parents=True, exist_ok=True)
    env = environment(
        root=_toolchain(ctx),
        modcache=ctx.folders.cache / "modcache",
        gocache=ctx.folders.gocache,
        modules=ctx.path(p["modules"]),
        os=p["os"],
        arch=p["arch"],
        cgo=p["cgo"],
    )
    return {**env, "GOTMPDIR": str(temporary)}


def environment(
    *, root: Path, modcache: Path, gocache: Path, modules: Path, os: str, arch: str, cgo: bool
) -> dict[str, str]:
    """Return an environment of ``go`` with nothing of the user's and no network.

    Modules come from the build's own file-system proxy and are held against go.sum by ``go``.

    Args:
        root: GOROOT.
        modcache, gocache: folders of extracted modules and of compiled packages.
        modules: the build's modules.
    """
    return {
        "PATH": f"{root / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "GOROOT": str(root),
        "GOENV": "off",
        "GOWORK": "off",
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
        "GOPROXY": (modules / "cache" / "download").as_uri(),
        "GOSUMDB": "off",
        "GONOSUMDB": "",
        "GOPRIVATE": "",
        "GOMODCACHE": str(modcache),
        "GOCACHE": str(gocache),
        "GOOS": os,
        "GOARCH": arch,
        "GOAMD64": "v1",
        "GOARM64": "v8.0",
        "CGO_ENABLED": "1" if cgo else "0",
    }


def _toolchain(ctx: StepContext) -> Path:
    """Return GOROOT: the locked toolchain, written once and shared by all builds, or the user's."""
    named: str = ctx.params["toolchain"]
    if named not in ctx.trees:
        return _checked_toolchain(ctx, Path(named))
    folder = ctx.folders.cache / "toolchains" / named.rpartition("/")[2]
    ctx.lay_out(ctx.tree(named), folder)
    return folder


def _checked_toolchain(ctx: StepContext, root: Path) -> Path:
    if not (root / "bin" / "go").is_file():
        raise CompileError(f"--toolchain={root}: no bin/go in it", reason="no-go", hint="name a GOROOT")
    found = ctx.exec([root / "bin" / "go", "env", "GOVERSION"], env={"GOROOT": str(root), "GOTOOLCHAIN": "local"})
    if found.strip() != ctx.params["go"]:
        ctx.warn(f"--toolchain has {found.strip()}, pinned is {ctx.params['go']}")
    ctx.facts["toolchain"] = found.strip()
    return root


def _ldflags(params: Mapping[str, Any]) -> str:
    values = (f"-X '{name}={value}'" for name, value in params["ldflags"].items())
    return " ".join(["-s", "-w", *(LDFLAGS if params["cgo"] else ()), *values])


def _parallel(ctx: StepContext) -> int:
    from k8sbuild.engine.pool import available_memory

    return max(1, min(ctx.cores, available_memory() // _COMPILER))


def _packages(ctx: StepContext, argv: list[str], cwd: Path, env: Mapping[str, str], log: Path) -> int:
    """Return how many packages the program has; 0 where that cannot be told."""
    code, output = ctx.processes.run(argv, cwd=cwd, env={**ctx.env, **env}, log=log)
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


def _compile_error(ctx: StepContext, module: Path) -> CompileError:
    """Return an error that names file, line and who touched the file."""
    text = ctx.log_file.read_text(encoding="utf-8", errors="replace").rpartition("\n$ ")[2]
    places = [match for line in text.splitlines() if (match := _PLACE.match(line.strip()))]
    shown = []
    for match in places[:8]:
        who = _who(ctx, match["file"], module)
        shown.append(f"{match['file']}:{match['line']}: {match['what']}" + (f" ({who})" if who else ""))
    rest = [line for line in text.splitlines()[1:] if line and not line.startswith("exit ")][-8:]
    return CompileError(
        "\n".join([f"{ctx.name}: the compiler failed", *(shown or rest)]),
        reason="compile-failed",
        hint="`k8sbuild shell` opens the tree; `k8sbuild patch-refresh --start` makes an edit tree",
        log=str(ctx.log_file),
        details={"places": [match.groupdict() for match in places]},
    )


def _who(ctx: StepContext, file: str, module: Path) -> str:
    """Say which patch or overlay touched a file that the compiler names, relative to the module or absolute."""
    path = (module / file).resolve() if not file.startswith("/") else Path(file)
    for address in [*ctx.params["trees"], ctx.params["module"]]:
        stage, _, rest = address.partition(":")
        root = (ctx.folders.work / stage / rest).resolve()
        if path.is_relative_to(root):
            name = path.relative_to(root).as_posix()
            touched: Any = ctx.input_facts.get(address, {}).get("touched", {}).get(name)
            if touched:
                return "touched by " + ", ".join(f"{plugin}: {patch}" for plugin, patch in touched)
            return f"of {address}"
    return ""
