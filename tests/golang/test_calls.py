"""Who calls what, held against the source of real Go programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from k8sbuild.golang.binary import BinaryError
from k8sbuild.golang.calls import callers, package_of
from k8sbuild.testing import programs

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """package main

import "os"

type server struct{ code int }

//go:noinline
func (s *server) fail() { os.Exit(s.code) }

func hidden() { os.Exit(2) }

//go:noinline
func outer(n int) { if n > 2 { hidden() } }

//go:noinline
func innocent(end func(int)) { end(3) }

func main() {
	n := len(os.Args)
	outer(n)
	(&server{n}).fail()
	innocent(os.Exit)
	func() { defer func() { if n > 5 { os.Exit(n) } }() }()
}
"""


@pytest.fixture(scope="module", params=["amd64", "arm64"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = {"go.mod": "module example.com/tiny\n\ngo 1.22\n", "main.go": PROGRAM}
    return programs.compiled(tmp_path_factory.mktemp("module"), tree, arch=request.param) / "tiny"


def test_direct_callers_are_found_also_where_a_call_was_inlined(program: Path) -> None:
    found = callers(program, ["os.Exit", "syscall.Exit", "log.Fatal"])
    assert {"main.(*server).fail", "main.outer"} <= set(found["os.Exit"])
    assert any(name.startswith("main.main.func1") for name in found["os.Exit"])
    assert "main.innocent" not in found["os.Exit"]
    assert "os.Exit" not in found["os.Exit"]
    assert found["syscall.Exit"] == ("os.Exit",)
    assert "log.Fatal" not in found


def test_a_call_on_the_border_of_two_pieces_is_found(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = callers(program, ["os.Exit"])
    for piece in (4 * 1024, 4 * 1021):
        monkeypatch.setattr("k8sbuild.golang.calls._PIECE", piece)
        assert callers(program, ["os.Exit"]) == whole


def test_other_machines_are_refused(program: Path, tmp_path: Path) -> None:
    data = bytearray(program.read_bytes())
    data[18] = 22
    (tmp_path / "odd").write_bytes(data)
    with pytest.raises(BinaryError, match="odd: calls of s390x") as caught:
        callers(tmp_path / "odd", ["os.Exit"])
    assert caught.value.reason == "unknown-machine"


def test_package_of_a_function() -> None:
    assert package_of("os.Exit") == "os"
    assert package_of("gopkg.in/yaml%2ev3.(*T).Do") == "gopkg.in/yaml%2ev3"
    assert package_of("a/b.F[c/d.T]") == "a/b"
