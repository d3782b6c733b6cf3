"""Runs of the front end by a process that has imported it: they fork from it, which spares most of a short run's time.

A run is a process as ever, with its own streams, folder, environment and end; it imports the plugins itself. What it
has in common with others of the same server is the seed of hashes. Signals, closed streams, and the same bytes out of
other processes are tested by real ones.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from k8sbuild.testing.project import Outcome, Project

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Server", "Warm", "start"]

#: What runs import only when they need it.
_LATER = ("coverage", "httpx", "invoke.main", "rich.console", "stamina", "unidiff", "zstandard")


@dataclass(frozen=True, slots=True)
class Server:
    """A process that runs the front end; see :func:`start`."""

    process: subprocess.Popen[bytes]
    link: socket.socket
    free: Lock = field(default_factory=Lock)

    def run(
        self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], isolated: bool = False, timeout: float = 600
    ) -> subprocess.CompletedProcess[str] | None:
        """Run ``python -m invoke`` (isolated: ``k8sbuild``) with words; ``None`` where another run goes on.

        Raises:
            subprocess.TimeoutExpired: it took more than ``timeout`` seconds and was killed.
        """
        if not self.free.acquire(blocking=False):
            return None
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            try:
                task = {"argv": list(argv), "folder": str(cwd), "env": dict(env), "isolated": isolated}
                socket.send_fds(self.link, [json.dumps(task).encode()], [out.fileno(), err.fileno()])
                if not select.select([self.link], [], [], timeout)[0]:
                    self.stop()
                    raise subprocess.TimeoutExpired(list(argv), timeout)
                code = int(self.link.recv(16))
            finally:
                self.free.release()
            return subprocess.CompletedProcess(argv, code, _read(out), _read(err))

    def stop(self) -> None:
        """End it and what it runs."""
        self.link.close()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _read(file: Any) -> str:
    file.seek(0)
    text: str = file.read().decode()
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm(Project):
    """A project whose plain runs are forked from a server."""

    server: Server

    def run(self, *args: str, folder: str = ".", timeout: float = 600) -> Outcome:
        """Run the command; beside another run in a process of its own from the start."""
        done = self.server.run(args, cwd=self.root / folder, env=self.environment, timeout=timeout)
        if done is None:
            return Project.run(self, *args, folder=folder, timeout=timeout)
        return Outcome(code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def start() -> Server:
    """Start a server; it ends with the caller, or by :meth:`Server.stop`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONPATH": str(Path(__file__).parents[1])}
        argv = [sys.executable, "-P", __file__, str(theirs.fileno())]
        process = subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
        )
    return Server(process, ours)


def _serve(link: socket.socket) -> dict[str, Any]:
    """Fork for each task; return in the child, with the task."""
    while True:
        data, fds, _, _ = socket.recv_fds(link, 1 << 20, 2)
        if not data:
            sys.exit()
        child = os.fork()
        if not child:
            link.close()
            for number, fd in enumerate(fds, 1):
                os.dup2(fd, number)
                os.close(fd)
            task: dict[str, Any] = json.loads(data)
            return task
        for fd in fds:
            os.close(fd)
        link.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


def _become(task: Mapping[str, Any]) -> None:
    """Be as if started so, and run."""
    os.environ.clear()
    os.environ.update(task["env"])
    os.chdir(task["folder"])
    own = [entry for entry in task["env"].get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:] = [*([] if task["isolated"] else [task["folder"]]), *own, *sys.path]
    importlib.invalidate_caches()
    if "COVERAGE_PROCESS_CONFIG" in os.environ:
        import coverage

        coverage.process_startup()
    if task["isolated"]:
        from k8sbuild.tasks.program import main

        sys.argv = ["-c", *task["argv"]]
        main()
    else:
        sys.argv = ["invoke", *task["argv"]]
        runpy.run_module("invoke", run_name="__main__", alter_sys=True)


def _import_all() -> None:
    import k8sbuild

    modules = [found.name for found in pkgutil.walk_packages(k8sbuild.__path__, "k8sbuild.")]
    for name in (*_LATER, *(name for name in modules if not name.startswith("k8sbuild.testing"))):
        importlib.import_module(name)


if __name__ == "__main__":
    _import_all()
    gc.collect()
    gc.freeze()
    _become(_serve(socket.socket(fileno=int(sys.argv[1]))))
