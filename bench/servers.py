"""Starts servers, waits until they are healthy, and says how much memory they take."""

from __future__ import annotations

import http.client
import ssl
import subprocess
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from .timing import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Memory", "memory_of", "running", "stop", "wait_for"]

_LIMIT = 120.0
_PAUSE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory of some processes together, in MiB: resident, and with shared pages divided by those who share them."""

    rss: float
    pss: float


@contextmanager
def running(argv: Sequence[str | Path], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the time of the block; it is killed at the end, since its data are thrown away."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        words = [str(word) for word in argv]
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"}
        child = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        try:
            yield child
            if child.poll():  # 0 after a stop in order
                text = log.read_text(encoding="utf-8", errors="replace")[-1500:]
                raise CommandError(f"{argv[0]} ended with exit code {child.returncode}\n{text}")
        finally:
            child.kill()
            child.wait()


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server in order.

    Raises:
        CommandError: it took longer than two minutes.
    """
    process.terminate()
    try:
        process.wait(_LIMIT)
    except subprocess.TimeoutExpired:
        raise CommandError(f"{process.args!r} does not stop") from None


def wait_for(url: str, certificate: tuple[Path, Path] | None = None) -> None:
    """Wait until a URL of loopback answers 200.

    Raises:
        CommandError: it does not within two minutes.
    """
    end = time.monotonic() + _LIMIT
    while not _healthy(url, certificate):
        if time.monotonic() > end:
            raise CommandError(f"{url} was not healthy within {_LIMIT:.0f} s")
        time.sleep(_PAUSE)


def _healthy(url: str, certificate: tuple[Path, Path] | None) -> bool:
    parts = urlsplit(url)
    # The certificate, too, is there only when the server has made it.
    with suppress(OSError, http.client.HTTPException), closing(_connection(parts, certificate)) as connection:
        connection.request("GET", parts.path)
        return connection.getresponse().status == http.client.OK
    return False


def _connection(parts: SplitResult, certificate: tuple[Path, Path] | None) -> http.client.HTTPConnection:
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.netloc, timeout=10)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Who answers is known: the port is one that this process has just given to a child.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(*certificate)
    return http.client.HTTPSConnection(parts.netloc, timeout=10, context=context)


def memory_of(processes: Sequence[subprocess.Popen[bytes]]) -> Memory:
    """Return what the processes take together."""
    texts = [Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii") for process in processes]
    return Memory(rss=sum(_field(text, "Rss") for text in texts), pss=sum(_field(text, "Pss") for text in texts))


def _field(text: str, name: str) -> float:
    """Return a field of smaps_rollup in MiB.

    >>> _field("Rss:   2048 kB\\nPss:   1024 kB\\n", "Pss")
    1.0
    """
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith(f"{name}:"))
