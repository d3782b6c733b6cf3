"""External commands: own environment, own process group, output in a file, ended with us."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from k8sbuild.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Processes"]

_GRACE = 5.0
_PR_SET_PDEATHSIG = 1


class Processes:
    """The children of one run; :meth:`stop` ends them all."""

    def __init__(self) -> None:
        self._live: dict[int, subprocess.Popen[bytes]] = {}
        self._guard = threading.Lock()
        self.stopped = False

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
        on_line: Callable[[str], None] | None = None,
    ) -> tuple[int, str]:
        """Run a command to its end and return exit code and output; both streams also go to ``log``.

        Args:
            on_line: gets each line of the output while the command runs.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        lines: list[str] = []
        with log.open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"$ {shlex.join(argv)}\n")
            child = self._start(argv, cwd, env, subprocess.PIPE)
            assert child.stdout is not None
            with child.stdout as stream:
                for raw in stream:
                    line = raw.decode(errors="replace")
                    file.write(line)
                    lines.append(line)
                    if on_line:
                        on_line(line.rstrip("\n"))
            code = child.wait()
            file.write(f"exit {code}\n")
        with self._guard:
            self._live.pop(child.pid, None)
        if self.stopped:
            raise Interrupted("interrupted", reason="interrupted", hint="run the same command again; it resumes")
        return code, "".join(lines)

    @contextmanager
    def running(
        self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a server for the time of a block; its group is killed at the end if it still runs."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            file.write(f"$ {shlex.join(argv)}\n".encode())
            file.flush()
            child = self._start(argv, cwd, env, file.fileno())
            try:
                yield child
            finally:
                if child.poll() is None:
                    _signal(child.pid, signal.SIGKILL)
                    child.wait()
                with self._guard:
                    self._live.pop(child.pid, None)

    def _start(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], out: int
    ) -> subprocess.Popen[bytes]:
        with self._guard:
            if self.stopped:
                raise Interrupted("interrupted", reason="interrupted")
            child = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=0,
                umask=0o022,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl call, no locks taken
            )
            self._live[child.pid] = child
        return child

    def groups(self) -> list[int]:
        """Return the process groups that are alive."""
        with self._guard:
            return sorted(self._live)

    def stop(self) -> None:
        """Ask every child's group to end, then kill what is left."""
        with self._guard:
            self.stopped = True
            live = list(self._live)
        for number in (signal.SIGTERM, signal.SIGKILL):
            live = [group for group in live if _signal(group, number)]
            end = time.monotonic() + _GRACE
            while live and number == signal.SIGTERM and time.monotonic() < end:
                live = [group for group in live if _signal(group, 0)]
                time.sleep(0.02)


def _signal(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
