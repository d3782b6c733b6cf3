"""Tests and lint of a distribution: its own Go packages and its patches' ledgers.

>>> from pathlib import Path
>>> from k8sbuild import api
>>> request = api.Request(flags={}, env={}, root=Path("."))
>>> api.run_tests(request, packages=("./pkg/certs/...",)).packages        # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .build import host_platform
from .building import build
from .engine.extend import with_go
from .engine.lower.patches import series_of
from .errors import UsageError
from .stages.ledgers import Series, findings, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .building import Observers, Report
    from .engine.graph import Graph
    from .kinds import GoModule
    from .project import Prepared, Request

__all__ = ["TestReport", "lint", "run_tests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReport:
    """What the tests of the distribution's own packages gave.

    Args:
        packages: rows of :class:`k8sbuild.stages.gotest.Package`; ``coverage`` in percent.
        coverage: of all packages together, in percent of their statements.
        untested: packages without a test.
        skipped: ``package test: reason``.
        figures: ``test: key value``, what tests say with ``testing.T.Attr``.
        tests: how many ran.
        seconds: wall time of the whole run.
        log: the run log.
    """

    __test__ = False
    packages: tuple[Mapping[str, Any], ...]
    coverage: float | None = None
    untested: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    tests: int = 0
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    log: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def run_tests(
    request: Request,
    *,
    packages: tuple[str, ...] = ("./...",),
    run: str = "",
    race: bool = True,
    short: bool = False,
    inputs: bool = True,
    observers: Observers = (),
) -> TestReport:
    """Run ``go vet`` and ``go test`` on the distribution's own packages, in the build's prepared trees.

    Args:
        packages: patterns of ``go``, relative to the distribution's module.
        run: only tests whose name matches (``go test -run``); coverage is asked for where all run.
        race: use the race detector where there is a C compiler, for packages that link nothing of the build's sources.
        short: the tests may leave out what takes minutes (``go test -short``).
        inputs: give the tests what ``GoModule.test_inputs`` names, which is built first. It never is for
            another platform than this machine's.
        observers: ``(name, function)`` that get every event.

    Raises:
        ValidateError: ``go-vet``, ``go-test``, ``go-coverage``.
        BuildError: whatever stops a build before its codegen stage ends.
    """

    def choose(prepared: Prepared) -> Graph:
        given = inputs and prepared.build.platform == host_platform()

        def ask(module: GoModule) -> tuple[Mapping[str, Any], tuple[str, ...]]:
            named = dict(module.test_inputs) if given else {}
            chosen = {"packages": packages, "run": run, "race": race, "short": short}
            return {**chosen, "coverage": 0 if run else module.coverage, "given": named}, tuple(named.values())

        return with_go(prepared, "gotest", "k8sbuild.stages.gotest:test", ask)

    return _test_report(build(request, choose=choose, observers=observers))


def _test_report(report: Report) -> TestReport:
    facts = [o.result.facts for o in report.outcomes if o.step.endswith("-gotest") and o.result]
    return TestReport(
        packages=tuple(row for fact in facts for row in fact["packages"]),
        coverage=next((fact["coverage"] for fact in facts), None),
        untested=tuple(name for fact in facts for name in fact["untested"]),
        skipped=tuple(text for fact in facts for text in fact["skipped"]),
        figures=tuple(text for fact in facts for text in fact["figures"]),
        tests=sum(fact["tests"] for fact in facts),
        warnings=report.warnings,
        seconds=report.seconds,
        log=report.log,
    )


def lint(request: Request, *, observers: Observers = ()) -> Report:
    """Hold overlays to ``gofmt``, ``go vet`` and the module's linters, and every series to its ledger.

    These are checks of a build as well. Here nothing is compiled for them, and a patch whose day is over is found
    too: a build of the same inputs must not fail because of the day.

    Raises:
        ValidateError: ``ledger`` with all findings, ``gofmt``, ``go-vet``, ``go-lint``.
        UsageError: ``no-go-module``: there is nothing of the kind.
    """
    today = datetime.now(UTC).date()

    def choose(prepared: Prepared) -> Graph:
        series = list(_series(prepared))
        refuse(finding for each in series for finding in findings(each, today))
        own, nodes = prepared.build.target, prepared.graph.nodes.values()
        steps = [n.name for n in nodes if n.target == own and n.made_of == "GoLint"]
        if not steps and not series:
            raise UsageError(
                f"the target {own!r} has no Go code and no patches of its own",
                reason="no-go-module",
                hint="--target=, see `k8sbuild plugins`",
            )
        return prepared.graph.wanted(steps)

    return build(request, choose=choose, observers=observers)


def _series(prepared: Prepared) -> Iterator[Series]:
    for place in series_of(prepared.resolved):
        files = {path.name: path.read_bytes() for path in place.folder.iterdir() if path.is_file()}
        version = prepared.resolved.sources[place.source].version
        yield Series(name=place.owner, source=place.source, version=version, files=files, only=place.only)
