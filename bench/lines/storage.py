"""SQLite in the server's process against etcd beside it, through the API that the API server uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bench.line import Line, Outcome
from bench.upstream import ETCD
from bench.workspace import answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.workspace import Workspace

_TEST = "TestLoadAgainstEtcd"
_RATE, _P99 = 1.0, 1.5
_LOAD = re.compile(
    rf"{_TEST}: (?P<name>\S+) ratio (?P<rate>[0-9.]+); SQLite \S+, p99 (?P<ours>[0-9.]+) ms,"
    r".*; etcd \S+, p99 (?P<theirs>[0-9.]+) ms,"
)


@dataclass(frozen=True, slots=True)
class Ratios:
    """What SQLite is to etcd under a load: operations a second, and their p99."""

    rate: float
    p99: float

    def met(self, name: str) -> bool:
        """Say whether the targets are met: p99 counts for creates."""
        return self.rate >= _RATE and (self.p99 <= _P99 or not re.fullmatch(r"create-\d+", name))


def ratios(figures: Iterable[str]) -> dict[str, Ratios]:
    """Return the ratios of each load from what the test says.

    >>> ratios(["TestLoadAgainstEtcd: create-16 ratio 0.58; SQLite 2331/s, p99 35.8 ms, CPU 0.25 ms each; "
    ...         "etcd 4006/s, p99 17.9 ms, CPU 0.31 ms each"])
    {'create-16': Ratios(rate=0.58, p99=2.0)}
    """
    found = [match for match in map(_LOAD.match, figures) if match]
    return {m["name"]: Ratios(float(m["rate"]), round(float(m["ours"]) / float(m["theirs"]), 2)) for m in found}


def measure(workspace: Workspace, name: str, etcd: str) -> Outcome:
    """Run the loads by turns on both."""
    project = workspace.project(name)
    words = ("--package=./pkg/kine", f"--run=^{_TEST}$", "--validate-ha", f"--set=etcd.version={etcd}", "--format=json")
    figures = answer(workspace.invoke(project, "test", *words))["figures"]
    found = ratios(figures)
    worst = min(found, key=lambda name: found[name].rate)
    facts = dict(text.removeprefix(f"{_TEST}: ").split(" ", 1) for text in figures)
    return Outcome(
        measured=f"{found[worst].rate:.2f} ({worst})",
        met=all(ratio.met(name) for name, ratio in found.items()),
        samples={
            **{f"{name}, operations a second, ratio": [ratio.rate] for name, ratio in found.items()},
            **{f"{name}, p99, ratio": [ratio.p99] for name, ratio in found.items()},
        },
        facts=facts,
    )


def _line(name: str, etcd: str) -> Line:
    return Line(
        name=name,
        what=f"operations a second of SQLite vs etcd {etcd}, the load where SQLite does worst",
        target=f"ratio ≥ {_RATE:.0f}; p99 of creates ≤ {_P99} ×",
        how="Kine with SQLite and etcd, each in a process of its own and syncing each write to the same disk, get the "
        "API server's transactions with objects of 1 KiB: creates from 1, 16 and 64 clients, updates, creates with "
        "deletes, lists of 10,000, and creates that 100 watchers on connections of their own see, each all of them "
        "and in order. Each goes by turns on both, in many short rounds; the ratio is of the medians. p99 and the "
        "processor time of the servers are of all rounds.",
        measure=partial(measure, name=name, etcd=etcd),
    )


LINES = (_line("storage", ETCD), _line("storage-3.6", "v3.6.4"))
