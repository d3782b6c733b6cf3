"""SQLite in the server's process against etcd beside it, through the API that the API server uses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bench.line import Line, Outcome
from bench.workspace import answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.workspace import Workspace

_TEST = "TestLoadAgainstEtcd"
_TARGET = 1.0


def ratios(figures: Iterable[str]) -> dict[str, float]:
    """Return the ratio of each load from what the test says.

    >>> ratios(["TestLoadAgainstEtcd: create-16 ratio 0.58; SQLite 2331/s, p99 35.8 ms, CPU 0.25 ms each; etcd 4006/s"])
    {'create-16': 0.58}
    """
    found = (re.match(rf"{_TEST}: (\S+) ratio ([0-9.]+);", text) for text in figures)
    return {match[1]: float(match[2]) for match in found if match}


def measure(workspace: Workspace) -> Outcome:
    """Run the loads by turns on both."""
    project = workspace.project("storage")
    words = ("--package=./pkg/kine", f"--run=^{_TEST}$", "--validate-ha", "--format=json")
    figures = answer(workspace.invoke(project, "test", *words))["figures"]
    found = ratios(figures)
    worst = min(found, key=lambda name: found[name])
    facts = dict(text.removeprefix(f"{_TEST}: ").split(" ", 1) for text in figures)
    return Outcome(
        measured=f"{found[worst]:.2f} ({worst})",
        met=found[worst] >= _TARGET,
        samples={f"{name}, operations a second, ratio": [value] for name, value in found.items()},
        facts=facts,
    )


LINE = Line(
    name="storage",
    what="operations a second of SQLite vs etcd, the load where SQLite does worst",
    target=f"ratio ≥ {_TARGET:.0f}",
    how="Kine with SQLite in the process of the load, and etcd as a process of its own, both syncing each write to the "
    "same disk, get the API server's transactions with objects of 1 KiB: creates from 1, 16 and 64 clients, updates, "
    "creates with deletes, lists of 10,000. Three rounds of each by turns; the ratio is of the medians. p99 and "
    "processor time are of all rounds, the load's own client included.",
    measure=measure,
)
