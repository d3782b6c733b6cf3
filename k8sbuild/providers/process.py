"""External commands of resolve and fetch: output and errors apart, errors in a log."""

from __future__ import annotations

import shlex
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from k8sbuild.engine.process import current

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Finished", "pick", "run"]

#: What every child that may use the network gets of the user's environment.
NETWORK = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC", "HOME", "SSH_AUTH_SOCK"),
)


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

    It ends with the run that it is part of, as every command of a step does.

    Args:
        take: gets each line of the error output while the command runs; one that it says yes to is left out.

    Raises:
        FileNotFoundError: the program does not exist.
        Interrupted: the run is stopped.
    """
    words = [str(word) for word in argv]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with current.get().started(words, cwd=cwd, env=env, **pipes) as child:
        out, text = _outputs(child, take)
    _append(log, f"$ {shlex.join(words)}\n{text}exit {child.returncode}\n")
    return Finished(code=child.returncode, out=out, err=text)


def _outputs(child: subprocess.Popen[bytes], take: Callable[[str], bool]) -> tuple[bytes, str]:
    """Read both streams to their ends, the error output line by line."""
    assert child.stdout is not None
    assert child.stderr is not None
    out: list[bytes] = []

    def read(stream: IO[bytes]) -> None:
        # An exception that ends the command closes the stream as well.
        with suppress(ValueError):
            out.append(stream.read())

    reader = threading.Thread(target=read, args=[child.stdout], daemon=True)
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
