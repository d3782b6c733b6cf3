"""The compile stage: one static Go program, with a compile cache of ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import BuildError, CompileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8sbuild.engine.context import StepContext

__all__ = ["go_binary", "go_environment"]

#: MiB that one compiler process of Kubernetes' largest packages takes.
_COMPILER = 700

_PLACE = re.compile(r"^(?P<file>[^\s:]+\.go):(?P<line>\d+):(?:(?P<column>\d+):)? (?P<what>.*)$")


def go_binary(ctx: StepContext) -> None:
    """Compile ``params["package"]`` of a Go module into ``ctx.out``."""
    p = ctx.params
    module = ctx.path(p["module"])
    for address in p["trees"]:
        ctx.path(address)
    env = go_environment(ctx)
    go = str(Path(env["GOROOT"]) / "bin" / "go")
    output = ctx.out / p["output"]
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", *([f"-tags={','.join(p['tags'])}"] if p["tags"] else [])]
    packages = ctx.exec([go, "list", *flags, "-deps", p["package"]], cwd=module, env=env, check=False).splitlines()
    counter = _Counter(ctx, packages)
    argv = [go, "build", "-v", f"-p={_parallel(ctx)}", *flags, f"-ldflags={_ldflags(p['ldflags'])}", "-o", str(output)]
    try:
        ctx.exec([*argv, p["package"]], cwd=module, env=env, on_line=counter.line)
    except BuildError as error:
        if error.reason != "command-failed":
            raise
        raise _compile_error(ctx, module) from error
    output.chmod(0o755)
    ctx.facts["compiled"] = counter.done
    ctx.facts["packages"] = len(packages)
    ctx.facts["size"] = output.stat().st_size


def go_environment(ctx: StepContext) -> dict[str, str]:
    """Return the whole environment of ``go``: nothing of the user's, no network.

    Modules come from the build's own file-system proxy and are held against go.sum by ``go``.
    """
    p = ctx.params
    cache = ctx.folders.cache
    root = _toolchain(ctx)
    temporary = ctx.folders.scratch / "go"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": f"{root / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "GOROOT": str(root),
        "GOENV": "off",
        "GOWORK": "off",
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",
        "GOPROXY": (ctx.path(p["modules"]) / "cache" / "download").as_uri(),
        "GOSUMDB": "off",
        "GONOSUMDB": "",
        "GOPRIVATE": "",
        "GOMODCACHE": str(cache / "modcache"),
        "GOCACHE": str(cache / "gocache"),
        "GOTMPDIR": str(temporary),
        "GOOS": p["os"],
        "GOARCH": p["arch"],
        "GOAMD64": "v1",
        "GOARM64": "v8.0",
        "CGO_ENABLED": "1" if p["cgo"] else "0",
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


def _ldflags(values: Mapping[str, str]) -> str:
    return " ".join(["-s", "-w", *(f"-X '{name}={value}'" for name, value in values.items())])


def _parallel(ctx: StepContext) -> int:
    from k8sbuild.engine.pool import available_memory

    return max(1, min(ctx.cores, available_memory() // _COMPILER))


class _Counter:
    """Counts the packages that ``go build -v`` names as it compiles them; the program's own is the last one."""

    def __init__(self, ctx: StepContext, packages: Sequence[str]) -> None:
        self._ctx = ctx
        self._packages = packages
        self.done = 0
        ctx.progress("linking what the compile cache has", 0, 0)

    def line(self, text: str) -> None:
        if text and " " not in text and not text.startswith("#"):
            self.done += 1
            self._ctx.progress("packages", self.done, len(self._packages))
            if text == self._packages[-1]:
                self._ctx.progress("linking", 0, 0)


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
