from __future__ import annotations

import doctest

import pytest

from k8sbuild.report import words


def test_examples_hold() -> None:
    result = doctest.testmod(words)
    assert result.attempted >= 4
    assert result.failed == 0


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_940, "999.9 kB"),
        (999_960, "1.0 MB"),
        (2_500_000_000, "2.5 GB"),
    ],
)
def test_size_changes_unit_before_it_shows_a_thousand(count: int, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (3599.7, "1 h 0 min"), (7325, "2 h 2 min")],
)
def test_duration_carries_over(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_progress_of_unknown_total_says_how_much() -> None:
    assert words.progress("kine", 2_000_000, 0) == "kine 2.0 MB"
    assert words.progress("modules", 7, 0) == "7 modules"


def test_columns_of_nothing_are_nothing() -> None:
    assert words.columns([]) == ""
