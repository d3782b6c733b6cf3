"""A build in which nothing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.line import Line, Outcome
from bench.plain import prepare, rebuilt
from bench.stats import median, spread_text
from bench.timing import alternate

if TYPE_CHECKING:
    from bench.workspace import Workspace

TARGET = 0.5


def measure(workspace: Workspace) -> Outcome:
    """Build twice, then look at builds that have nothing to do."""
    project = workspace.project("noop")
    rebuilt(workspace, project)
    workspace.invoke(project, "build", "--skip-validate")
    plain = prepare(workspace, project, "noop-plain")
    output = workspace.root / "noop-k8s"
    plain.build(output)
    ours, theirs = alternate(
        max(workspace.rounds, 3) * 3,
        lambda _: workspace.invoke(project, "build", "--skip-validate"),
        lambda _: plain.build(output, fresh=False),
    )
    seconds = [done.seconds for done in ours]
    go = [done.seconds for done in theirs]
    return Outcome(
        measured=f"{median(seconds):.2f} s; `go build` {median(go):.2f} s",
        met=median(seconds) <= TARGET,
        samples={
            "invoke build, s": seconds,
            "invoke build, CPU s": [done.cpu for done in ours],
            "go build, s": go,
            "go build, CPU s": [done.cpu for done in theirs],
        },
        facts={"invoke build": spread_text(seconds), "go build": spread_text(go)},
    )


LINE = Line(
    name="noop",
    what="`invoke build` when nothing changed, whole process",
    target=f"≤ {TARGET} s",
    how="`invoke build --skip-validate` in a built project, by turns with `go build` of a copy of the prepared tree "
    "whose output is up to date. Both have everything in their caches; the time is that of the whole process.",
    measure=measure,
)
