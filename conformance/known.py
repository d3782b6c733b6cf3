"""The tests that are known not to pass, with why: written by hand, and held against each run."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .report import NOT_RUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .report import Outcome

__all__ = ["FILE", "REASONS", "Known", "problems", "read"]

FILE = Path(__file__).with_name("known.csv")
#: Why a test does not pass, in the order of the page.
REASONS: Mapping[str, str] = {
    "two nodes": "it needs two nodes, and there is one",
    "machine": "the machine forbids it",
    "open": "the distribution is not there yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Why a test does not pass: one of :data:`REASONS`, and the cause in a sentence."""

    reason: str
    cause: str


def read(lines: Iterable[str]) -> dict[str, Known]:
    """Return what is known, by the test's full name.

    Raises:
        ValueError: a reason that is none, or a test that stands there twice.

    >>> read(["test,reason,cause", "[sig-a] b,two nodes,compares nodes"])["[sig-a] b"].reason
    'two nodes'
    """
    found: dict[str, Known] = {}
    for row in csv.DictReader(lines, strict=True):
        if row["reason"] not in REASONS:
            raise ValueError(f"{row['test']}: {row['reason']!r} is none of {', '.join(REASONS)}")
        if row["test"] in found:
            raise ValueError(f"{row['test']} stands there twice")
        found[row["test"]] = Known(reason=row["reason"], cause=row["cause"])
    return found


def problems(ran: Mapping[str, Outcome], known: Mapping[str, Known]) -> Iterator[str]:
    """Yield each test that failed and is not known to, each that passed all the same, and that none was run."""
    if all(outcome.state == NOT_RUN for outcome in ran.values()):
        yield "no test was run: see what the tests printed first, or the name that was chosen"
    for name, outcome in sorted(ran.items()):
        if outcome.state == "failed" and name not in known:
            yield f"failed: {name}: {outcome.said}"
        if outcome.state == "passed" and name in known:
            yield f"passed, though {FILE.name} has it: {name}"
