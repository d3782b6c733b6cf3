"""The table of a run of Go tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .table import near
from .words import columns, duration, titled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k8sbuild.gotest import TestReport

__all__ = ["tests"]


def tests(report: TestReport) -> str:
    """Return each package with its time and coverage, figures, what was skipped, warnings and the run log."""
    total = "" if report.coverage is None else f", {report.coverage:.1f} % of all statements"
    skipped = f", {len(report.skipped)} SKIPPED" if report.skipped else ""
    count = f"{report.tests} tests in {len(report.packages)} packages{skipped}{total}, {duration(report.seconds)}"
    rows = [_package(row) for row in report.packages] + [("", name, "", "no tests", "") for name in report.untested]
    parts = [
        columns(rows, right={2, 3}),
        titled("figures", [(text,) for text in report.figures]),
        titled("skipped", [(text,) for text in report.skipped]),
        titled("warnings", [(text,) for text in report.warnings]),
        f"{count}\nrun log: {near(report.log)}",
    ]
    return "\n\n".join(part for part in parts if part)


def _package(row: Mapping[str, Any]) -> tuple[str, ...]:
    coverage = "" if row["coverage"] is None else f"{row['coverage']:.1f} %"
    return row["result"], row["package"], f"{row['seconds']:.1f} s", coverage, "race" if row["race"] else ""
