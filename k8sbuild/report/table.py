"""The closing table of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.kinds import STAGES

from .words import columns, duration, size, titled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8sbuild.building import Report
    from k8sbuild.engine.run import Outcome

__all__ = ["closing"]


def closing(report: Report) -> str:
    """Return stages with times, what was not reused and why, artifacts with sizes, warnings and the run log."""
    parts = [
        f"{report.target} {report.k8s} {report.platform} in {duration(report.seconds)}",
        _stages(report.outcomes),
        titled("not reused", _ran(report.outcomes), right={1}),
        titled("skipped", _skipped(report.outcomes)),
        titled(f"artifacts in {near(report.folder)}", _artifacts(report), right={1}),
        f"verified: {report.verified} steps gave the same bytes twice" if report.verified else "",
        titled("warnings", [(text,) for text in report.warnings]),
        f"run log: {near(report.log)}",
    ]
    return "\n\n".join(part for part in parts if part)


def near(path: str) -> str:
    """Return a path as seen from the working directory, where that is shorter."""
    return min(path, os.path.relpath(path), key=len) if path and Path(path).is_absolute() else path


def _stages(outcomes: Iterable[Outcome]) -> str:
    outcomes = list(outcomes)
    rows = [row for stage in STAGES if (row := _stage(stage, outcomes))]
    return columns([("stage", "time", "ran", "reused", "skipped"), *rows], right={1, 2, 3, 4}) if rows else ""


def _stage(stage: str, outcomes: list[Outcome]) -> tuple[str, ...]:
    mine = [o for o in outcomes if o.step.startswith(f"{stage}:")]
    if not mine:
        return ()
    states = [o.state for o in mine]
    ran, reused = states.count("ran"), states.count("reused")
    return stage, duration(_wall(mine)), str(ran), str(reused), str(len(mine) - ran - reused)


def _wall(outcomes: Iterable[Outcome]) -> float:
    """Return the time from the first step's beginning to the last one's end: steps run beside each other."""
    times = [(o.began, o.began + o.seconds) for o in outcomes if o.state == "ran"]
    return max(end for _, end in times) - min(began for began, _ in times) if times else 0.0


def _ran(outcomes: Iterable[Outcome]) -> list[tuple[str, ...]]:
    return [(o.step, duration(o.seconds), o.why) for o in outcomes if o.state == "ran"]


def _skipped(outcomes: Iterable[Outcome]) -> list[tuple[str, ...]]:
    return [(o.step, o.why) for o in outcomes if o.state not in ("ran", "reused")]


def _artifacts(report: Report) -> list[tuple[str, ...]]:
    return [(a.name, size(a.size), f"sha256:{a.sha256}") for a in report.artifacts]
