"""Ends a build by signals in the middle of its steps, and looks what is left."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8sbuild.testing.project import Moment, Project

__all__ = ["kill", "leftovers"]

_CODES = {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130}


def kill(project: Project, step: str, how: Iterable[tuple[signal.Signals, Moment]], *words: str) -> list[str]:
    """Kill a build in a step, again and again until the step is done; return each try as text."""
    tried = []
    for by, moment in how:
        outcome = project.kill_at(step, moment, *words, by=by)
        # The signal may come when all is done.
        assert outcome.code in (_CODES[by], 0), outcome
        assert "Traceback" not in outcome.stderr
        # A result that was stored counts, even if nothing was told of it any more.
        if step in project.steps("step-reused"):
            break
        tried.append(f"{step} {moment} {by.name}")
    return tried


def leftovers(folder: Path) -> list[str]:
    """Return the commands of processes that work in a folder, after some time to end."""
    end = time.monotonic() + 10
    while (found := [command for command in _commands() if str(folder) in command]) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def _commands() -> Iterable[str]:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            yield f"{command} in {(path / 'cwd').readlink()}"
        except OSError:
            continue
