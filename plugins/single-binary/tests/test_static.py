"""The static check, on a program that is at hand: the interpreter itself."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from k8sbuild_single_binary_checks import binary

from k8sbuild.errors import ValidateError
from k8sbuild.golang.binary import elf_machine

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

PROGRAM = Path(sys.executable).resolve()


def problems(**params: object) -> str:
    given = {"binary": "b", "arch": elf_machine(PROGRAM), "max_size": 1000, "strings": [], **params}
    with pytest.raises(ValidateError) as caught:
        binary.static(cast("StepContext", SimpleNamespace(params=given, path=lambda _: PROGRAM)))
    assert caught.value.reason == "static-check"
    return caught.value.message


def test_a_program_for_another_machine_is_refused() -> None:
    assert f"it is for {elf_machine(PROGRAM)}, not mips" in problems(arch="mips")
    assert "it is for" not in problems(strings=["no program says this"[::-1]])


def test_size_and_strings() -> None:
    found = problems(max_size=0, strings=["no program says this"[::-1]])
    assert "more than the budget of 0 MiB" in found
    assert "it does not say" in found


def test_a_string_that_lies_across_two_parts_is_found(tmp_path: Path) -> None:
    file = tmp_path / "k8s"
    file.write_bytes(b"." * (binary._PART - 3) + b"v1.31.4+own" + b"." * 10)
    assert binary._strings(file, ["v1.31.4+own", "v1.31.4", "v1.32.0"]) == ["it does not say 'v1.32.0'"]
    assert binary._strings(file, []) == []
