"""Coverage of Go packages: what profiles say, and the threshold."""

from __future__ import annotations

import pytest

from k8sbuild.errors import ValidateError
from k8sbuild.stages.gocover import Coverage, overall, read_profile, refuse_below

PROFILE = """mode: atomic
m/p/a.go:1.2,3.4 2 7
m/p/a.go:5.2,6.4 1 0
m/q/b.go:1.2,3.4 7 0
m/q/b.go:1.2,3.4 7 1
""".splitlines()


def test_blocks_count_once_also_when_two_runs_report_them() -> None:
    packages = read_profile(PROFILE)
    assert packages == {"m/p": Coverage(2, 3), "m/q": Coverage(7, 7)}
    assert overall(packages) == Coverage(9, 10)


def test_a_share_is_never_shown_above_what_it_is() -> None:
    assert Coverage(1999, 2500).percent == 79.9
    assert Coverage(0, 0).percent == 100.0


@pytest.mark.parametrize("least", [0, 66.6, 200 / 3])
def test_enough_is_enough(least: float) -> None:
    refuse_below(read_profile(PROFILE), least)


def test_packages_below_are_named_with_the_total() -> None:
    with pytest.raises(ValidateError) as caught:
        refuse_below(read_profile(PROFILE), 80)
    assert caught.value.reason == "go-coverage"
    assert caught.value.message.splitlines() == [
        "tests run less than 80 % of the statements of",
        "  m/p: 66.6 %",
        "all packages together: 90.0 %",
    ]
