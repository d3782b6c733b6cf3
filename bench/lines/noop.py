"""A build in which nothing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.line import Line, Outcome
from bench.plain import prepare, rebuilt
from bench.sides import samples, spreads
from bench.stats import median
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
    found, alone = alternate(
        max(workspace.rounds, 3) * 3,
        lambda _: workspace.invoke(project, "build", "--skip-validate"),
        lambda _: plain.build(output, fresh=False),
    )
    sides = {"invoke build": found, "go build": alone}
    seconds, go = (median([done.seconds for done in side]) for side in sides.values())
    return Outcome(
        measured=f"{seconds:.2f} s; `go build` {go:.2f} s",
        met=seconds <= TARGET,
        samples=samples(sides),
        facts=spreads(sides),
    )


LINE = Line(
    name="noop",
    what="`invoke build` when nothing changed, whole process",
    target=f"≤ {TARGET} s",
    how="`invoke build --skip-validate` in a built project, by turns with `go build` of a copy of the prepared tree "
    "whose output is up to date. Both have everything in their caches; the time is that of the whole process.",
    measure=measure,
)
