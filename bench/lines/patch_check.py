"""Checking the whole patch series against a fetched tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.line import Line, Outcome
from bench.plain import forget
from bench.stats import median, spread_text
from bench.workspace import answer

if TYPE_CHECKING:
    from bench.workspace import Workspace

TARGET = 1.0


def measure(workspace: Workspace) -> Outcome:
    """Run the patch stage without its results."""
    project = workspace.project("patch-check")
    steps: list[float] = []
    whole: list[float] = []
    counts: set[int] = set()
    for _ in range(max(workspace.rounds, 3)):
        forget(workspace.cache, "patch:")
        done = workspace.invoke(project, "patch", "--format=json")
        ran = [step for step in answer(done)["steps"] if step["step"].startswith("patch:") and step["state"] == "ran"]
        counts.add(len(ran))
        steps.append(sum(step["seconds"] for step in ran))
        whole.append(done.seconds)
    return Outcome(
        measured=f"{median(steps):.2f} s",
        met=median(steps) <= TARGET,
        samples={"patch stage, s": steps, "invoke patch, s": whole},
        facts={"patch stage": spread_text(steps), "whole process": spread_text(whole), "sources": sorted(counts)},
    )


LINE = Line(
    name="patch-check",
    what="check of the whole patch series against a fetched tree",
    target=f"≤ {TARGET:.0f} s",
    how="`invoke patch` with the stage's results removed: every series and edit of every plugin is checked against the "
    "fetched sources and applied. The number is the sum of the steps' times as the command reports them; the time of "
    "the whole process is beside it.",
    measure=measure,
)
