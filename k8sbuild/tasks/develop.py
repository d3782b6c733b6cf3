"""Commands for those who write plugins, overlays and patches."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from k8sbuild.kinds import Option
from k8sbuild.options import CORE

from .command import Answer, Call, Command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["COMMANDS"]

#: What decides how a build's trees are prepared.
_PREPARE = tuple(o.name for o in CORE if o.name not in ("arch", "fast", "skip-validate", "verify", "out"))


def test(call: Call) -> Answer:
    """Run the Go tests of the distribution's own packages."""
    from k8sbuild import gotest
    from k8sbuild.report.live import progress

    packages = tuple(word for text in call.own["package"] for word in text.split(",")) or ("./...",)
    with progress(sys.stderr) as observer:
        report = gotest.run_tests(
            call.request, packages=packages, race=not call.own["no-race"], observers=(("progress", observer),)
        )
    return Answer(kind="test", data=report.to_dict(), text=lambda: _tests(report.to_dict()))


def _tests(data: Mapping[str, Any]) -> str:
    from k8sbuild.report.table import near
    from k8sbuild.report.words import columns, duration

    count = f"{data['tests']} tests in {len(data['packages'])} packages, {duration(data['seconds'])}"
    rows = [_package(row) for row in data["packages"]] + [("", name, "", "no tests", "") for name in data["untested"]]
    parts = [
        columns(rows, right={2, 3}),
        _section("skipped", data["skipped"]),
        _section("warnings", data["warnings"]),
        f"{count}\nrun log: {near(data['log'])}",
    ]
    return "\n\n".join(part for part in parts if part)


def _package(row: Mapping[str, Any]) -> tuple[str, ...]:
    coverage = "" if row["coverage"] is None else f"{row['coverage']:.1f} %"
    return row["result"], row["package"], f"{row['seconds']:.1f} s", coverage, "race" if row["race"] else ""


def _section(title: str, rows: Sequence[str]) -> str:
    return "\n".join([title, *(f"  {row}" for row in rows)]) if rows else ""


def lint(call: Call) -> Answer:
    """Check overlays and ledgers; the first kind of finding is the error."""
    from k8sbuild import gotest
    from k8sbuild.report.live import progress

    with progress(sys.stderr) as observer:
        report = gotest.lint(call.request, observers=(("progress", observer),))
    data = {"ok": True, "seconds": round(report.seconds, 3), "log": report.log}
    return Answer(kind="lint", data=data, text=lambda: "overlays and ledgers are in order")


COMMANDS = (
    Command(
        name="test",
        help="Test the distribution's own Go packages.",
        run=test,
        dry=None,
        options=_PREPARE,
        plugins=True,
        own=(
            Option(name="package", help="patterns of go, relative to the module (./pkg/certs/...)", type="list"),
            Option(name="no-race", help="leave the race detector out", type="bool", default=False),
        ),
    ),
    Command(
        name="lint",
        help="Check overlays (gofmt, vet) and ledgers.",
        run=lint,
        dry=None,
        options=_PREPARE,
        plugins=True,
    ),
)
