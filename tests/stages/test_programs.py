"""Checks of programs, on small Go programs that say a version."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from k8sbuild.build import host_platform
from k8sbuild.errors import ValidateError
from k8sbuild.stages import programs as stage
from k8sbuild.testing import programs
from k8sbuild.testing.steps import context

HERE = host_platform().arch
OTHER = "arm64" if HERE == "amd64" else "amd64"
#: Says its version to one word, or where the environment asks for it, and ends with an exit code all the same.
SOURCE = """package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "-v" || os.Getenv("ASKED") != "" {
		fmt.Println("tiny version 1.2.3\\nspec: 1.2.1")
	}
	os.Exit(3)
}
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = {"go.mod": "module example.com/tiny\n\ngo 1.22\n", "main.go": SOURCE}
    return programs.compiled(tmp_path_factory.mktemp("go"), tree, arch=HERE) / "tiny"


def checked(folder: Path, program: Path, version: str = "v1.2.3", *, arch: str = HERE, **params: object) -> list[str]:
    inputs = {"compile:p/a": {"a": (0o755, program.read_bytes())}}
    params = {"programs": {"compile:p/a/a": version}, "arch": arch, "words": ["-v"], **params}
    return stage.check(context(folder, params, inputs=inputs))


def test_programs_say_their_version(tmp_path: Path, tiny: Path) -> None:
    (fact,) = checked(tmp_path, tiny)
    assert fact.startswith("a v1.2.3, ")
    assert checked(tmp_path, tiny, words=[], env={"ASKED": "yes"}) == [fact]
    with pytest.raises(ValidateError, match=r"^a says 'tiny version 1\.2\.3.*, not v1\.2\.4$") as caught:
        checked(tmp_path, tiny, "v1.2.4")
    assert caught.value.reason == "static-check"


def test_programs_for_another_machine_are_refused(tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(ValidateError, match=f"is for {HERE}, not {OTHER}"):
        checked(tmp_path, tiny, arch=OTHER)


def test_programs_for_another_machine_are_not_run(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "elf_machine", lambda _: OTHER)
    assert checked(tmp_path, tiny, "v9", arch=OTHER)


def test_what_is_linked_dynamically_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidateError, match="is linked dynamically"):
        checked(tmp_path, Path(sys.executable).resolve())
