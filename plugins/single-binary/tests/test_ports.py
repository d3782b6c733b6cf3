"""The reference has every port that the server declares, as it declares it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import k8sbuild_single_binary
import pytest

CONFIG = Path(k8sbuild_single_binary.__file__).parent / "overlay/pkg/config"
LISTENERS = CONFIG / "listeners.go"
REFERENCE = Path(__file__).parents[3] / "docs/reference/ports.md"


def test_ports_of_the_reference_are_those_of_the_source() -> None:
    if not REFERENCE.is_file():
        pytest.skip("no checkout: the reference is NOT compared with the source")
    rows = _find(r"^\| (\d+) \| ([a-z-]+) \| (.*?) \| (.*?) \| `([^`]+)` \|$", REFERENCE)
    defaults = dict(_find(r"^\t\t(\w+Port): +(\d+),$", CONFIG / "config.go"))
    words = dict(_find(r'^\t(asks\w+) += "(.+)"$', LISTENERS))
    port = r"(?:c\.(\w+)|(\d+)|c\.extraPort\(.+, (\d+)\))"
    found = _find(rf'\{{"([a-z-]+)", (.+), {port}, "(--[^"]+)", (asks\w+)\}},', LISTENERS)
    declared = [
        (defaults.get(field) or plain or extra, name, flag, words[asks], "loopback" in address)
        for name, address, field, plain, extra, flag, asks in found
    ]
    assert len(declared) == len(_find(r", asks\w+\}", LISTENERS)) >= 7
    assert declared == [(port, name, flag, who, where == "127.0.0.1") for port, name, where, who, flag in rows]


def _find(pattern: str, file: Path) -> list[Any]:
    return re.findall(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
