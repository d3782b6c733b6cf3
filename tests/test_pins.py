"""Pins: facts about upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import ConfigError, ResolveError
from k8sbuild.pins import Pins, Release, load

if TYPE_CHECKING:
    from pathlib import Path

PINS = Pins(go_releases=("1.25.5", "1.24.9", "1.26rc1"), go_of_minor={"1.31": "1.22.9"})


@pytest.mark.parametrize(
    ("k8s", "needed", "release"),
    [
        ("v1.31.4", ["1.22.0"], "1.22.9"),
        ("v1.31.4", ["1.22.0", "1.24.1"], "1.24.9"),
        ("v1.31.4", ["1.25"], "1.25.5"),
        ("v1.99.0", ["1.21"], "1.22.9"),
        ("v1.99.0", ["1.26"], "1.26rc1"),
    ],
)
def test_the_toolchain_is_the_lowest_that_is_enough(k8s: str, needed: list[str], release: str) -> None:
    assert PINS.toolchain(k8s, needed) == release


def test_no_toolchain_is_enough() -> None:
    with pytest.raises(ResolveError, match=r"go 1\.27") as caught:
        PINS.toolchain("v1.31.4", ["1.27"])
    assert caught.value.reason == "no-toolchain"


def test_a_plugins_pins_add_to_the_librarys(tmp_path: Path) -> None:
    file = tmp_path / "pins.toml"
    file.write_text(
        '[go]\nreleases = ["9.9.9"]\n[kubernetes."1.99"]\ngo = "9.9.9"\n'
        '[releases."kine@v9"]\ncommit = "abc"\ntime = "2020-01-01T00:00:00Z"\n'
    )
    own, pins = load(), load([file])
    assert set(pins.go_releases) - set(own.go_releases) == {"9.9.9"}
    assert pins.toolchain("v1.99.1", []) == "9.9.9"
    assert pins.release("kine", "v9") == Release(commit="abc", time="2020-01-01T00:00:00Z")
    assert pins.release("kine", "v8") == Release()
    assert own.go_of_minor
    assert own.go_of_minor.items() <= pins.go_of_minor.items()


@pytest.mark.parametrize("text", ["[go", '[releases."kine@v9"]\ncommmit = "abc"\n', "\udcff"])
def test_bad_pins_are_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pins.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=r"pins\.toml") as caught:
        load([file])
    assert caught.value.reason == "bad-pins"


def test_missing_pins_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load([tmp_path / "none.toml"])


def test_a_candidate_is_before_its_release() -> None:
    assert Pins(go_releases=("1.26rc1", "1.26.0")).toolchain("v9.9.0", ["1.26.0"]) == "1.26.0"
