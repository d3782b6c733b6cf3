"""Runs a command and says what it cost: wall time, processor time, its own peak memory."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import resource
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["CommandError", "Run", "alternate", "cpu_seconds", "peak_mib", "run"]

_POLL = 0.005

T = TypeVar("T")


class CommandError(Exception):
    """A command that had to work did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a command cost.

    Args:
        seconds: wall time.
        cpu: user and system seconds, with all processes that it waited for.
        peak: largest resident memory of the process itself, in MiB; its children's does not count.
        out: its standard output.
    """

    seconds: float
    cpu: float
    peak: float
    out: str


def run(argv: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], log: Path, user: int | None = None) -> Run:
    """Run a command to its end; standard error goes to ``log``.

    Args:
        user: number of the user (and group) to run it as; ours by default.

    Raises:
        CommandError: it failed; the message has the end of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    out = log.with_suffix(".out")
    with log.open("wb") as errors, out.open("wb") as output:
        began = time.monotonic()
        child = subprocess.Popen(
            [str(word) for word in argv], cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=output,
            stderr=errors, user=user, group=user, extra_groups=None if user is None else [],
        )  # fmt: skip
        peak, status, usage = _follow(child.pid)
        seconds = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        text = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise CommandError(f"{argv[0]} ended with exit code {child.returncode}\n{text}")
    text = out.read_text(encoding="utf-8", errors="replace")
    return Run(seconds=seconds, cpu=usage.ru_utime + usage.ru_stime, peak=peak, out=text)


def _follow(pid: int) -> tuple[float, int, resource.struct_rusage]:
    """Wait for a process and note its peak; ru_maxrss would be the largest of its children's too."""
    peak, pause = 0.0, _POLL
    while True:
        peak = max(peak, peak_mib(pid))
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return peak, status, usage
        time.sleep(pause)
        # Short commands want exact times, long ones no disturbance.
        pause = min(pause * 1.05, 0.1)


def peak_mib(pid: int) -> float:
    """Return the largest resident memory that a process has had, in MiB; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def cpu_seconds(pid: int) -> float:
    """Return user and system seconds of a running process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def alternate(rounds: int, *sides: Callable[[int], T]) -> list[list[T]]:
    """Run the sides by turns, so that a change of the machine's load meets all of them; one list a side.

    Every second round goes backwards: none of them always comes first.

    >>> alternate(2, lambda n: f"a{n}", lambda n: f"b{n}")
    [['a0', 'a1'], ['b0', 'b1']]
    """
    found: list[list[T]] = [[] for _ in sides]
    for number in range(rounds):
        turns = list(enumerate(sides))
        for which, side in turns if number % 2 == 0 else turns[::-1]:
            found[which].append(side(number))
    return found
