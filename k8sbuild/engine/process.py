"""External commands: own environment, own process group, output in a file, ended with us."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

from k8sbuild.errors import Interrupted

from . import keeper
from .secrets import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Processes", "current"]

#: Seconds that an interrupted command has to end after TERM.
_GRACE = 5.0


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
        hidden: Collection[str] = (),
    ) -> tuple[int, str]:
        """Run a command to its end and return exit code and output; both streams also go to ``log``.

        Args:
            on_line: gets each line of the output while the command runs.
            hidden: texts that are masked in the output and in ``log``.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        lines: list[str] = []
        with log.open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"$ {mask(shlex.join(argv), hidden)}\n")
            with self.started(argv, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
                assert child.stdout is not None
                for raw in child.stdout:
                    line = mask(raw.decode(errors="replace"), hidden)
                    file.write(line)
                    lines.append(line)
                    if on_line:
                        on_line(line.rstrip("\n"))
                code = child.wait()
            file.write(f"exit {code}\n")
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
            with self.started(argv, cwd=cwd, env=env, stdout=file.fileno(), stderr=subprocess.STDOUT) as child:
                try:
                    yield child
                finally:
                    if child.poll() is None:
                        _signal(child.pid, signal.SIGKILL)

    @contextmanager
    def started(
        self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdout: int, stderr: int
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a command as the leader of a group and wait for it; an exception ends the whole group.

        Raises:
            Interrupted: :meth:`stop` was called before or meanwhile.
            FileNotFoundError: the program does not exist.
        """
        with self._start(argv, cwd, env, stdout, stderr) as child:
            try:
                yield child
            except BaseException:
                _end([child])
                raise
            finally:
                child.wait()
                with self._guard:
                    self._live.pop(child.pid, None)
                keeper.ended(child.pid)
        self._go_on()

    def _start(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], stdout: int, stderr: int
    ) -> subprocess.Popen[bytes]:
        with self._guard:
            self._go_on()
            try:
                child = subprocess.Popen(
                    list(argv),
                    cwd=cwd,
                    env=dict(env),
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    process_group=0,
                    umask=0o022,
                    preexec_fn=keeper.enter(),  # noqa: PLW1509 - it writes to a pipe and takes no lock
                )
            except OSError:
                keeper.look()
                raise
            self._live[child.pid] = child
        return child

    def _go_on(self) -> None:
        if self.stopped:
            raise Interrupted("interrupted", reason="interrupted", hint="run the same command again; it resumes")

    def groups(self) -> list[int]:
        """Return the process groups that are alive."""
        with self._guard:
            return sorted(self._live)

    def stop(self) -> None:
        """Ask every child's group to end, then kill what is left."""
        with self._guard:
            self.stopped = True
            live = list(self._live.values())
        _end(live)


#: The commands of the run that a thread works for; those of no run have their own.
current: ContextVar[Processes] = ContextVar("current", default=Processes())  # noqa: B039 - shared on purpose


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask groups to end: TERM for their leaders to tidy up, then KILL for whoever is left."""
    for child in children:
        _signal(child.pid, signal.SIGTERM)
    end = time.monotonic() + _GRACE
    while any(child.poll() is None for child in children) and time.monotonic() < end:
        time.sleep(0.02)
    for child in children:
        _signal(child.pid, signal.SIGKILL)


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
