"""The live check of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.line import Line, Outcome
from bench.plain import forget
from bench.stats import median, spread_text
from bench.workspace import answer

if TYPE_CHECKING:
    from bench.workspace import Workspace

TARGET = 25.0
_LIVE = "validate:single-binary/live"


def measure(workspace: Workspace) -> Outcome:
    """Run the live check of single mode without its result."""
    project = workspace.project("validation")
    workspace.invoke(project, "build", "--skip-validate")
    seconds: list[float] = []
    facts: dict[str, object] = {}
    for _ in range(min(max(workspace.rounds, 1), 3)):
        forget(workspace.cache, _LIVE)
        steps = answer(workspace.invoke(project, "validate", "--format=json"))["steps"]
        (live,) = (step for step in steps if step["step"] == _LIVE)
        seconds.append(live["seconds"])
        facts = dict(live["facts"])
    return Outcome(
        measured=f"{median(seconds):.1f} s",
        met=median(seconds) <= TARGET,
        samples={"live check, s": seconds},
        facts={"live check": spread_text(seconds), "last round": facts},
    )


LINE = Line(
    name="validation",
    what="live validation, single mode",
    target=f"≤ {TARGET:.0f} s",
    how=f"The time of the step `{_LIVE}` in `invoke validate`, its result removed before: it boots the binary, creates "
    "objects, kills it with SIGKILL, boots it again, looks for them and stops it in order.",
    measure=measure,
)
