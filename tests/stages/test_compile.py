"""Progress of a compile: of how many packages is asked only where it is worth its time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import Interrupted
from k8sbuild.stages.compile import LONG, Counter

if TYPE_CHECKING:
    from pathlib import Path


class Asked:
    """Remembers how often it is asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.logs: list[Path] = []
        self.error = error

    def __call__(self, log: Path) -> int:
        self.logs.append(log)
        if self.error:
            raise self.error
        return 1874


def counter(tmp_path: Path, asked: Asked) -> tuple[Counter, list[Any]]:
    seen: list[Any] = []
    params = {"package": "./cmd/server"}
    ctx = SimpleNamespace(params=params, log_file=tmp_path / "c.log", progress=lambda *row: seen.append(row))
    return Counter(ctx, asked), seen  # type: ignore[arg-type]


def test_a_short_compile_is_not_counted(tmp_path: Path) -> None:
    asked = Asked()
    count, seen = counter(tmp_path, asked)
    for line in ["# k8s.io/api", "go: downloading x v1", "", *["k8s.io/api"] * (LONG - 1)]:
        count.line(line)
    assert (count.done, len(asked.logs)) == (LONG - 1, 0)
    assert seen[-1] == ("packages", LONG - 1, 0)


def compile_long(count: Counter) -> None:
    """Compile until the packages are counted, and one more."""
    for _ in range(LONG):
        count.line("k8s.io/api")
    assert count.asking is not None
    count.asking.join(10)
    count.line("k8s.io/api")


def test_a_long_compile_is_counted_once_in_a_log_of_its_own(tmp_path: Path) -> None:
    asked = Asked()
    count, seen = counter(tmp_path, asked)
    compile_long(count)
    assert seen[-1] == ("packages", LONG + 1, 1874)
    assert asked.logs == [tmp_path / "c.packages.log"]


def test_after_the_program_itself_comes_the_link(tmp_path: Path) -> None:
    count, seen = counter(tmp_path, Asked())
    count.line("example.org/k8s/cmd/server")
    assert [row[0] for row in seen] == ["linking what the compile cache has", "packages", "linking"]


def test_an_interrupt_ends_the_count_quietly(tmp_path: Path) -> None:
    count, seen = counter(tmp_path, Asked(Interrupted("stop", reason="interrupted")))
    compile_long(count)
    assert seen[-1] == ("packages", LONG + 1, 0)
