"""What commands that ran by turns took, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .stats import ratio, spread_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .timing import Run

__all__ = ["ratios", "samples", "spreads"]


def samples(sides: Mapping[str, Sequence[Run]]) -> dict[str, list[float]]:
    """Return wall and processor time of every run, by side and unit.

    >>> from bench.timing import Run
    >>> samples({"go build": [Run(seconds=2.0, cpu=3.5, peak=1.0, out="")]})
    {'go build, s': [2.0], 'go build, CPU s': [3.5]}
    """
    found: dict[str, list[float]] = {}
    for side, runs in sides.items():
        found[f"{side}, s"] = [run.seconds for run in runs]
        found[f"{side}, CPU s"] = [run.cpu for run in runs]
    return found


def spreads(sides: Mapping[str, Sequence[Run]]) -> dict[str, str]:
    """Return median and range of each side's wall time."""
    return {side: spread_text([run.seconds for run in runs]) for side, runs in sides.items()}


def ratios(ours: Sequence[Run], theirs: Sequence[Run]) -> tuple[float, float]:
    """Return our median by theirs: of wall time, of processor time.

    >>> from bench.timing import Run
    >>> ratios([Run(seconds=3.0, cpu=2.0, peak=1.0, out="")], [Run(seconds=2.0, cpu=2.0, peak=1.0, out="")])
    (1.5, 1.0)
    """
    wall = ratio([run.seconds for run in ours], [run.seconds for run in theirs])
    return wall, ratio([run.cpu for run in ours], [run.cpu for run in theirs])
