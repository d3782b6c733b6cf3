"""External commands of the fetch stage: own environment, own process group, output in a log."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Finished", "pick", "run"]

#: What every child that may use the network gets of the user's environment.
NETWORK = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC", "HOME", "SSH_AUTH_SOCK"),
)

#: Seconds that an interrupted child has to end after TERM.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that ended: exit code, output, error output."""

    code: int
    out: bytes
    err: str


def pick(env: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return the named variables that are set."""
    return {name: env[name] for name in names if name in env}


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    take: Callable[[str], bool] = lambda _: False,
) -> Finished:
    """Run a command to its end; its error output goes to ``log`` too.

    The child leads a process group. When we are interrupted the group gets
    TERM, then KILL.

    Args:
        take: gets each line of the error output while the command runs; one that it says yes to is left out.

    Raises:
        FileNotFoundError: the program does not exist.
    """
    words = [str(word) for word in argv]
    with subprocess.Popen(
        words, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        process_group=0, umask=0o022,
    ) as child:  # fmt: skip
        try:
            out, text = _outputs(child, take)
        except BaseException:
            _stop(child)
            raise
    _append(log, f"$ {shlex.join(words)}\n{text}exit {child.returncode}\n")
    return Finished(code=child.returncode, out=out, err=text)


def _outputs(child: subprocess.Popen[bytes], take: Callable[[str], bool]) -> tuple[bytes, str]:
    """Read both streams to their ends, the error output line by line."""
    assert child.stdout is not None
    assert child.stderr is not None
    out: list[bytes] = []
    reader = threading.Thread(target=lambda stream=child.stdout: out.append(stream.read()), daemon=True)
    reader.start()
    lines = (raw.decode(errors="replace") for raw in child.stderr)
    text = "".join(line for line in lines if not take(line.rstrip("\n")))
    reader.join()
    child.wait()
    return out[0], text


def _append(log: Path, text: str) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream:
        stream.write(text)


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End the group: TERM for the leader to tidy up, then KILL for whoever is left."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=PATIENCE)
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
