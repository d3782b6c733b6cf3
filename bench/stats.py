"""Medians, spreads and ratios of samples."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["median", "percentile", "ratio", "spread", "spread_text"]


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return the smallest sample that ``percent`` of all samples do not exceed.

    >>> percentile(range(1, 201), 99), percentile([5.0], 99), percentile([1.0, 2.0], 100)
    (198, 5.0, 2.0)
    """
    return sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of ours by the median of theirs.

    >>> ratio([2.0, 9.0, 2.2], [4.0, 4.4, 4.8])
    0.5
    """
    return median(ours) / median(theirs)


def spread(samples: Sequence[float]) -> float:
    """Return how far the samples lie apart, as a part of their median.

    >>> spread([9.0, 10.0, 12.0])
    0.3
    """
    return (max(samples) - min(samples)) / median(samples)


def spread_text(samples: Sequence[float]) -> str:
    """Return median and range, for a table.

    >>> spread_text([9.0, 10.126, 12.0])
    '10.13 (9.00-12.00, 3 rounds)'
    """
    rounds = f"{len(samples)} round{'s' * (len(samples) > 1)}"
    return f"{median(samples):.2f} ({min(samples):.2f}-{max(samples):.2f}, {rounds})"
