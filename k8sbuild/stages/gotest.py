"""The distribution's own Go packages: ``gofmt`` and ``go vet``, a check of every build, and ``go test``."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from k8sbuild.engine.inside import inside
from k8sbuild.errors import BuildError, ValidateError

from . import cgo
from .gocover import overall, read_profile, refuse_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from k8sbuild.engine.context import StepContext
    from k8sbuild.engine.go import Go

__all__ = ["Package", "Tally", "check", "environment", "test"]

#: The same flags as in a build, so that both share compiled packages.
_FLAGS = ("-mod=readonly", "-trimpath")
_SHOWN = 40
#: Of one package's tests; those that boot what was built may take minutes.
_TIMEOUT = "-timeout=20m"


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
    """Counts what ``go test -json`` says, line by line.

    Args:
        race: the tests run under the race detector.
        profile: lines of the coverage profile.
        broken: ``go test`` itself says that something failed.

    >>> tally = Tally()
    >>> tally.line('{"Action":"pass","Package":"p","Elapsed":0.5}')
    >>> tally.packages["p"].seconds, tally.packages["p"].result
    (0.5, 'pass')
    >>> tally.line('{"Action":"attr","Package":"p","Test":"TestKill","Key":"kills","Value":"500"}')
    >>> tally.figures
    ['TestKill: kills 500']
    """

    race: bool = False
    packages: dict[str, Package] = field(default_factory=dict)
    tests: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    profile: list[str] = field(default_factory=list)
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
            self._output.setdefault((name, test), []).append(event["Output"].rstrip("\n"))
        elif action == "attr":
            self.figures.append(f"{test}: {event['Key']} {event['Value']}")
        elif action in ("pass", "fail", "skip") and name:
            self._ended(action, name, test, event)

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


def _go(ctx: StepContext) -> Go:
    p = ctx.params
    return ctx.go(p["module"], os=p["os"], arch=p["arch"], cgo=p["cgo"])


def test(ctx: StepContext) -> None:
    """Run vet and the tests of ``params["packages"]``; facts hold results and coverage a package.

    Raises:
        ValidateError: ``go-vet`` or ``go-test``, with what the tools said; ``go-coverage``.
    """
    go = _go(ctx)
    _vet(go)
    given = _given(ctx)
    own = _packages(go)
    runs = ((own.alone, _race(ctx)), (own.others, False), (own.untested, False))
    tallies = [_run(go, names, detect, given) for names, detect in runs if names]
    covered = read_profile(line for t in tallies for line in t.profile)
    packages = sorted((p for t in tallies for p in t.packages.values()), key=lambda p: p.package)
    for package in packages:
        package.coverage = covered[package.package].percent if package.package in covered else None
    ctx.facts["packages"] = [asdict(package) for package in packages if package.package not in own.untested]
    ctx.facts["coverage"] = overall(covered).percent if covered else None
    ctx.facts["untested"] = own.untested
    ctx.facts["skipped"] = [text for t in tallies for text in t.skipped]
    ctx.facts["figures"] = [text for t in tallies for text in t.figures]
    ctx.facts["tests"] = sum(t.tests for t in tallies)
    _refuse_failures(ctx, tallies)
    refuse_below(covered, ctx.params["coverage"])


def _given(ctx: StepContext) -> dict[str, str]:
    """Return the environment that names what the tests were given.

    ``go test`` reuses a result when the environment is the same, so that the paths hold a digest.
    """
    folder = inside(ctx).folders.work / "given"
    shutil.rmtree(folder, ignore_errors=True)
    env = {}
    for variable, address in ctx.params["given"].items():
        path = ctx.path(address)
        link = folder / ctx.tree(address).digest.rpartition(":")[2][:16] / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
        env[variable] = str(link)
    return env


def check(ctx: StepContext) -> None:
    """Hold the distribution's own packages to ``gofmt``, ``go vet`` and the linters.

    A linter reads the source of everything that a package links, so that those that link the
    build's own sources would take it many minutes: it gets the others.

    Raises:
        ValidateError: ``gofmt``, naming the files, ``go-vet`` or ``go-lint``.
    """
    go = cgo.with_compiler(_go(ctx))
    badly = ctx.exec([go.tool("gofmt"), "-l", "."], cwd=go.module, env=go.env).split()
    if badly:
        raise ValidateError(
            f"not formatted: {', '.join(badly)}", reason="gofmt", hint="gofmt -w FILE", details={"files": badly}
        )
    _vet(go)
    if linters := ctx.params["linters"]:
        light = _packages(go).light
        for address in linters:
            _lint(go, ctx.path(address), light)


def environment(ctx: StepContext) -> None:
    """Lay everything out and tell how ``go`` is run in it: facts ``env``, the module's ``address``, ``trees``."""
    go = _go(ctx)
    ctx.facts["env"] = {**ctx.env, **go.env, "GOFLAGS": " ".join(_FLAGS)}
    ctx.facts["address"] = ctx.params["module"]
    ctx.facts["trees"] = {address: str(ctx.path(address)) for address in go.parts.trees}


def _flags(ctx: StepContext) -> list[str]:
    return [*_FLAGS, *([f"-tags={','.join(ctx.params['tags'])}"] if ctx.params["tags"] else [])]


def _vet(go: Go) -> None:
    """Run ``go vet`` and say what it found, with who wrote the file."""
    # With an empty compile cache it takes minutes and says nothing.
    go.ctx.progress("go vet, which reads the types of all that is imported", 0, 0)
    try:
        go("vet", *_flags(go.ctx), *go.ctx.params["packages"])
    except BuildError as error:
        if error.reason != "command-failed":
            raise
        raise ValidateError(error.message, reason="go-vet", hint="see the log", log=error.log) from error


def _lint(go: Go, program: Path, packages: list[str]) -> None:
    """Run a linter, whose exit code is other than 0 when it finds something."""
    env = {**go.env, "XDG_CACHE_HOME": str(inside(go.ctx).folders.cache / "linters")}
    try:
        go.ctx.exec([program, *packages], cwd=go.module, env=env)
    except BuildError as error:
        if error.reason != "command-failed":
            raise
        raise ValidateError(error.message, reason="go-lint", hint="see the log", log=error.log) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packages:
    """Own packages: those without tests, and with tests that link nothing of the build's sources, or some.

    ``light`` are all that link nothing of them.
    """

    untested: list[str]
    alone: list[str]
    others: list[str]
    light: list[str]


def _packages(go: Go) -> _Packages:
    local = {*go.ctx.params["local"]}
    template = '{{.ImportPath}}\t{{join .Deps " "}}'
    listed = go("list", "-test", *_flags(go.ctx), "-f", template, *go.ctx.params["packages"])
    rows = [line.split("\t") for line in listed.splitlines()]
    own = sorted(row[0] for row in rows if " " not in row[0] and not row[0].endswith(".test"))
    tested = {row[0].removesuffix(".test") for row in rows if row[0].endswith(".test")}
    heavy = {
        row[0].removesuffix(".test") for row in rows for dep in row[1].split() if " " not in row[0] and _of(dep, local)
    }
    return _Packages(
        untested=[name for name in own if name not in tested],
        alone=[name for name in own if name in tested and name not in heavy],
        others=[name for name in own if name in tested and name in heavy],
        light=[name for name in own if name not in heavy],
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


def _run(go: Go, packages: list[str], race: bool, given: Mapping[str, str]) -> Tally:
    tally = Tally(race=race)
    ctx = go.ctx
    total = len(packages)

    def line(text: str) -> None:
        tally.line(text)
        ctx.progress("packages", sum(1 for p in tally.packages.values() if p.result), total)

    chosen = [flag for flag, on in (("-race", race), ("-short", ctx.params["short"])) if on]
    chosen += [f"-run={ctx.params['run']}"] if ctx.params["run"] else []
    profile = inside(ctx).folders.work / "coverage.out"
    words = ["-json", f"-coverprofile={profile}", _TIMEOUT, f"-p={ctx.cores}", *_flags(ctx), *chosen]
    profile.unlink(missing_ok=True)
    try:
        go("test", *words, *packages, env={**given, **({"CGO_ENABLED": "1"} if race else {})}, on_line=line)
    except BuildError as error:
        if error.reason != "command-failed":
            raise
        tally.broken = True
    if profile.exists():
        tally.profile = profile.read_text(encoding="utf-8").splitlines()
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
