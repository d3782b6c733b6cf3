"""Facts of real Go programs, and clean errors for what is none."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from k8sbuild.golang.binary import BinaryError, build_info, elf_machine, function_packages, is_static
from k8sbuild.testing import programs

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "go.mod": "module example.com/tiny\n\ngo 1.22\n\nrequire example.com/dep v1.2.3\n\n"
    "replace example.com/dep => ./dep\n",
    "main.go": """package main

import (
	"fmt"
	"os"

	"example.com/dep"
	"example.com/tiny/generic"
	"example.com/tiny/yaml.v3"
)

func main() {
	fmt.Println(dep.Name(), generic.Twice(len(os.Args)), generic.Twice(os.Args[0]), yaml.New().Do())
}
""",
    "dep/go.mod": "module example.com/dep\n\ngo 1.22\n",
    "dep/dep.go": 'package dep\n\n//go:noinline\nfunc Name() string { return "dep" }\n',
    "generic/generic.go": "package generic\n\n//go:noinline\nfunc Twice[T any](v T) []T { return []T{v, v} }\n",
    "yaml.v3/yaml.go": """package yaml

type T struct{ do func() int }

//go:noinline
func New() *T { n := 1; return &T{do: func() int { n++; return n }} }

//go:noinline
func (t *T) Do() int { return t.do() }
""",
}


@pytest.fixture(scope="module", params=["amd64", "arm64"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return programs.compiled(tmp_path_factory.mktemp("module"), FILES, arch=request.param) / "tiny"


def test_static_program_and_its_machine(program: Path, request: pytest.FixtureRequest) -> None:
    assert is_static(program)
    assert elf_machine(program) == request.node.callspec.params["program"]


def test_build_info_is_what_the_go_tool_says(program: Path) -> None:
    info = build_info(program)
    shown = subprocess.run([programs.go(), "version", program], capture_output=True, text=True, check=True).stdout
    assert shown.split(": ")[1].strip() == info.go
    assert info.path == "example.com/tiny"
    assert info.main is not None
    assert info.main.path == "example.com/tiny"
    assert [(m.path, m.version, m.replace and m.replace.path) for m in info.modules] == [
        ("example.com/dep", "v1.2.3", "./dep")
    ]
    assert info.settings["GOARCH"] == elf_machine(program)
    assert info.settings["CGO_ENABLED"] == "0"


def test_function_packages_of_a_stripped_program(program: Path) -> None:
    packages = function_packages(program)
    assert {"main", "fmt", "runtime", "example.com/dep", "example.com/tiny/generic"} <= packages
    assert "example.com/tiny/yaml.v3" in packages
    assert "net/http" not in packages
    assert not [name for name in packages if any(mark in name for mark in "[(%*:")]


def test_dynamic_program_is_not_static() -> None:
    assert not is_static(os.path.realpath("/bin/sh"))


def test_program_without_go_has_no_build_info() -> None:
    with pytest.raises(BinaryError) as caught:
        build_info(os.path.realpath("/bin/sh"))
    assert caught.value.reason == "not-go"
    assert "/sh" in caught.value.message or "dash" in caught.value.message


@pytest.mark.parametrize("read", [is_static, elf_machine, build_info, function_packages])
@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(10)])
def test_other_files_are_refused_by_name(tmp_path: Path, read: object, content: bytes) -> None:
    (tmp_path / "odd").write_bytes(content)
    with pytest.raises(BinaryError, match="odd") as caught:
        read(tmp_path / "odd")  # type: ignore[operator]
    assert caught.value.reason in {"not-elf", "damaged-binary"}


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
def test_truncated_program_is_damaged(tmp_path: Path, program: Path, share: float) -> None:
    data = program.read_bytes()
    (tmp_path / "cut").write_bytes(data[: int(len(data) * share)])
    for read in (build_info, function_packages, is_static):
        with pytest.raises(BinaryError, match="cut") as caught:
            read(tmp_path / "cut")
        assert caught.value.reason == "damaged-binary"


def test_broken_function_table_is_damaged(tmp_path: Path, program: Path) -> None:
    data = bytearray(program.read_bytes())
    at = data.index(b"\xf1\xff\xff\xff\x00\x00")
    data[at + 32 : at + 40] = b"\xff" * 8
    (tmp_path / "odd").write_bytes(data)
    with pytest.raises(BinaryError) as caught:
        function_packages(tmp_path / "odd")
    assert caught.value.reason == "damaged-binary"


def test_missing_file_is_a_clean_error(tmp_path: Path) -> None:
    with pytest.raises(BinaryError, match="nowhere") as caught:
        is_static(tmp_path / "nowhere")
    assert caught.value.reason == "unreadable-binary"
