"""Programs under test: the shipped binary and what it needs beside it, booted on free ports."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.errors import ValidateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from k8sbuild.engine.context import StepContext

__all__ = ["Server", "command", "free_ports", "start", "started"]

#: Seconds until a program must be ready.
READY = 90.0
#: Seconds that an orderly stop may take, with clients that watch.
STOP = 10.0


@dataclass(slots=True, kw_only=True)
class Server:
    """One boot of the binary: its process, data directory and admin kubeconfig."""

    binary: Path
    data: Path
    process: subprocess.Popen[bytes]
    ready_seconds: float = 0.0

    def kubectl(self, *args: str, text: str = "") -> str:
        """Run the binary's own kubectl and return its output.

        Raises:
            ValidateError: ``kubectl-failed``.
        """
        done = subprocess.run(
            [str(self.binary), "kubectl", "--kubeconfig", str(self.data / "admin.kubeconfig"), *args],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            env={"HOME": str(self.data), "PATH": "/usr/bin:/bin"},
        )
        if done.returncode:
            raise ValidateError(f"kubectl {' '.join(args)}: {done.stderr.strip()[-400:]}", reason="kubectl-failed")
        return done.stdout

    def rss(self) -> int:
        """Return the resident memory in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) >> 10
        return 0

    def kill(self) -> None:
        """Send SIGKILL, as a loss of power would end it, and wait."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> float:
        """Send SIGTERM and return how long the orderly stop took.

        Raises:
            ValidateError: ``stop-failed``.
        """
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            raise ValidateError(f"still running {STOP:.0f} s after SIGTERM", reason="stop-failed") from None
        if code != 0:
            raise ValidateError(f"exit code {code} after SIGTERM", reason="stop-failed")
        return time.monotonic() - began


def command(binary: Path, data: Path, *flags: str) -> list[str]:
    """Return the command line of a server on free loopback ports."""
    api, manager, scheduler = free_ports(3)
    return [
        str(binary), "--disable-agent", f"--data-dir={data}", "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1", f"--https-listen-port={api}", f"--controller-manager-port={manager}",
        f"--scheduler-port={scheduler}", *flags,
    ]  # fmt: skip


@contextmanager
def start(ctx: StepContext, binary: Path, data: Path, *flags: str) -> Iterator[Server]:
    """Boot the binary for the time of a block, which begins when it is ready.

    Raises:
        ValidateError: ``boot-failed`` with the end of its log.
    """
    began = time.monotonic()
    with started(ctx, command(binary, data, *flags)) as process:
        yield Server(binary=binary, data=data, process=process, ready_seconds=time.monotonic() - began)


@contextmanager
def started(ctx: StepContext, argv: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the time of a block, which begins when it says READY=1 as it would to systemd.

    Raises:
        ValidateError: ``boot-failed`` with the end of its log.
    """
    with _notify_socket() as (address, listener), ctx.running(argv, env={"NOTIFY_SOCKET": address}) as process:
        _wait(ctx, process, listener)
        yield process


def _wait(ctx: StepContext, process: subprocess.Popen[bytes], listener: socket.socket) -> None:
    end = time.monotonic() + READY
    listener.settimeout(0.05)
    while time.monotonic() < end and process.poll() is None:
        try:
            if b"READY=1" in listener.recv(4096):
                return
        except TimeoutError:
            continue
    log = ctx.log_file.read_text(encoding="utf-8", errors="replace")[-1500:]
    what = f"ended with exit code {process.returncode}" if process.poll() is not None else "was not ready"
    raise ValidateError(f"the server {what} within {READY:.0f} s\n{log}", reason="boot-failed", log=str(ctx.log_file))


@contextmanager
def _notify_socket() -> Iterator[tuple[str, socket.socket]]:
    """Give an abstract datagram socket as systemd does, see sd_notify(3)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")
        name: bytes = listener.getsockname()
        yield "@" + name[1:].decode(), listener


def free_ports(count: int) -> list[int]:
    """Return ports that are free on loopback now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
