"""The distribution's own Go packages: ``go vet``, ``gofmt`` and ``go test``, as steps of the developer's commands."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import BuildError, ValidateError

from .compile import go_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from k8sbuild.engine.context import StepContext

__all__ = ["Package", "Tally", "check", "environment", "test"]

#: The same flags as in a build, so that both share compiled packages.
_FLAGS = ("-mod=readonly", "-trimpath")
_SHOWN = 40


@dataclass(slots=True, kw_only=True)
class Package:
    """What became of a package's tests.

    ``result`` is ``pass``, ``fail`` or ``skip``; ``coverage`` is in percent of its statements.
    """

    package: str
    result: str = ""
    seconds: float = 0.0
    coverage: float | None = None
    race: bool = False


@dataclass(slots=True, kw_only=True)
class Tally:
    r"""Counts what ``go test -json`` says, line by line.

    Args:
        race: the tests run under the race detector.
        broken: ``go test`` itself says that something failed.

    >>> tally = Tally()
    >>> tally.line('{"Action":"output","Package":"p","Output":"coverage: 81.5% of statements\\n"}')
    >>> tally.line('{"Action":"pass","Package":"p","Elapsed":0.5}')
    >>> tally.packages["p"].coverage, tally.packages["p"].result
    (81.5, 'pass')
    """

    race: bool = False
    packages: dict[str, Package] = field(default_factory=dict)
    tests: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    broken: bool = False
    _output: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def line(self, text: str) -> None:
        """Take one line; what is no event, such as a compiler's words, is kept as it is."""
        try:
            event = json.loads(text)
        except json.JSONDecodeError:
            self.said.append(text)
            return
        action, name, test = event["Action"], event.get("Package", ""), event.get("Test", "")
        if action == "build-output":
            self.said.append(event["Output"].rstrip("\n"))
        elif action == "output":
            self._said(name, test, event["Output"])
        elif action in ("pass", "fail", "skip") and name:
            self._ended(action, name, test, event)

    def _said(self, name: str, test: str, text: str) -> None:
        self._output.setdefault((name, test), []).append(text.rstrip("\n"))
        if not test and text.startswith("coverage: ") and "%" in text:
            self._package(name).coverage = float(text.split()[1].rstrip("%"))

    def _ended(self, action: str, name: str, test: str, event: Mapping[str, Any]) -> None:
        output = self._output.pop((name, test), [])
        if not test:
            package = self._package(name)
            package.result, package.seconds = action, float(event.get("Elapsed", 0.0))
            if action == "fail":
                self.said += output
            return
        self.tests += 1
        if action == "skip":
            why = [text.strip() for text in output if not text.lstrip().startswith(("===", "---"))]
            self.skipped.append(f"{name} {test}: {' '.join(why) or 'no reason given'}")
        elif action == "fail":
            self.failed.append(f"{name} {test}")
            self.said += output

    def _package(self, name: str) -> Package:
        return self.packages.setdefault(name, Package(package=name, race=self.race))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Go:
    """The pinned ``go`` in the module's work tree, every tree that it needs laid out beside it."""

    ctx: StepContext
    module: Path
    env: Mapping[str, str]

    def __call__(self, *words: str, **rest: Any) -> str:
        env = {**self.env, **rest.pop("env", {})}
        return self.ctx.exec([self.tool("go"), *words], cwd=self.module, env=env, **rest)

    def tool(self, name: str) -> str:
        return str(Path(self.env["GOROOT"]) / "bin" / name)


def _go(ctx: StepContext) -> _Go:
    module = ctx.path(ctx.params["module"])
    for address in ctx.params["trees"]:
        ctx.path(address)
    return _Go(ctx=ctx, module=module, env=go_environment(ctx))


def test(ctx: StepContext) -> None:
    """Run vet and the tests of ``params["packages"]``; facts hold results and coverage a package.

    Raises:
        ValidateError: ``go-vet`` or ``go-test``, with what the tools said.
    """
    go = _go(ctx)
    _vet(go)
    untested, alone, others = _groups(go)
    race = _race(ctx)
    tallies = [_run(go, names, detect) for names, detect in ((alone, race), (others, False)) if names]
    packages = sorted((p for t in tallies for p in t.packages.values()), key=lambda p: p.package)
    ctx.facts["packages"] = [asdict(package) for package in packages]
    ctx.facts["untested"] = untested
    ctx.facts["skipped"] = [text for t in tallies for text in t.skipped]
    ctx.facts["tests"] = sum(t.tests for t in tallies)
    _refuse_failures(ctx, tallies)


def check(ctx: StepContext) -> None:
    """Hold the distribution's own packages to ``gofmt`` and ``go vet``.

    Raises:
        ValidateError: ``gofmt``, naming the files, or ``go-vet``.
    """
    go = _go(ctx)
    badly = ctx.exec([go.tool("gofmt"), "-l", "."], cwd=go.module, env=go.env).split()
    if badly:
        raise ValidateError(
            f"not formatted: {', '.join(badly)}", reason="gofmt", hint="gofmt -w FILE", details={"files": badly}
        )
    _vet(go)


def environment(ctx: StepContext) -> None:
    """Lay everything out and tell how ``go`` is run in it: facts ``env``, the module's ``address``, ``trees``."""
    go = _go(ctx)
    ctx.facts["env"] = {**ctx.env, **go.env}
    ctx.facts["address"] = ctx.params["module"]
    ctx.facts["trees"] = {address: str(ctx.path(address)) for address in ctx.params["trees"]}


def _vet(go: _Go) -> None:
    """Run ``go vet`` and say what it found, with who wrote the file."""
    try:
        go("vet", *_FLAGS, *go.ctx.params["packages"])
    except BuildError as error:
        if error.reason != "command-failed":
            raise
        raise ValidateError(error.message, reason="go-vet", hint="see the log", log=error.log) from error


def _groups(go: _Go) -> tuple[list[str], list[str], list[str]]:
    """Return own packages without tests, with tests that link nothing of the build's sources, and with others."""
    local = {*go.ctx.params["local"]}
    template = '{{.ImportPath}}\t{{join .Deps " "}}'
    listed = go("list", "-test", *_FLAGS, "-f", template, *go.ctx.params["packages"])
    rows = [line.split("\t") for line in listed.splitlines()]
    links = {row[0].removesuffix(".test"): row[1].split() for row in rows if row[0].endswith(".test")}
    own = sorted(row[0] for row in rows if " " not in row[0] and not row[0].endswith(".test"))
    heavy = {name for name, deps in links.items() if any(_of(dep, local) for dep in deps)}
    tested = [name for name in own if name in links]
    return (
        [name for name in own if name not in links],
        [name for name in tested if name not in heavy],
        [name for name in tested if name in heavy],
    )


def _of(package: str, modules: Iterable[str]) -> bool:
    return any(package == module or package.startswith(f"{module}/") for module in modules)


def _race(ctx: StepContext) -> bool:
    """Say whether the race detector is used: it needs cgo, so a C compiler."""
    if not ctx.params["race"]:
        return False
    if shutil.which("gcc", path=ctx.env["PATH"]) or shutil.which("clang", path=ctx.env["PATH"]):
        return True
    ctx.warn("RACE DETECTOR SKIPPED: there is no C compiler (gcc or clang)")
    return False


def _run(go: _Go, packages: list[str], race: bool) -> Tally:
    tally = Tally(race=race)
    ctx = go.ctx
    total = len(packages)

    def line(text: str) -> None:
        tally.line(text)
        ctx.progress("packages", sum(1 for p in tally.packages.values() if p.result), total)

    tags = [f"-tags={','.join(ctx.params['tags'])}"] if ctx.params["tags"] else []
    words = ["-json", "-cover", f"-p={ctx.cores}", *_FLAGS, *tags, *(["-race"] if race else [])]
    try:
        go("test", *words, *packages, env={"CGO_ENABLED": "1"} if race else {}, on_line=line)
    except BuildError as error:
        if error.reason != "command-failed":
            raise
        tally.broken = True
    return tally


def _refuse_failures(ctx: StepContext, tallies: list[Tally]) -> None:
    if not any(t.broken for t in tallies):
        return
    packages = [p.package for t in tallies for p in t.packages.values() if p.result == "fail"]
    failed = [name for t in tallies for name in t.failed]
    said = [text for t in tallies for text in t.said]
    shown = said if len(said) <= _SHOWN else [*said[:_SHOWN], f"… {len(said) - _SHOWN} more lines in the log"]
    raise ValidateError(
        "\n".join([f"failed: {', '.join(failed or packages) or 'go test'}", *shown]),
        reason="go-test",
        hint="k8sbuild test --package=PACKAGE",
        log=str(ctx.log_file),
        details={"tests": failed, "packages": packages},
    )
