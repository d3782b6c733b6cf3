"""From Invoke's values to a call, and from its answer or error to text, JSON and an exit code."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit

from k8sbuild import __version__
from k8sbuild.config import find_project
from k8sbuild.errors import BuildError, Interrupted, StoreError, UsageError
from k8sbuild.options import Declared, Value, parse
from k8sbuild.project import Request
from k8sbuild.report.stream import flush, say

from .command import Answer, Call, Command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["perform", "project_root"]

_M_ARENA_MAX = -8


def perform(command: Command, ctx: Any, given: Mapping[str, Any]) -> None:
    """Run a command for Invoke.

    Raises:
        Exit: with the error's exit code, its text already written; Invoke adds nothing to it.
    """
    if given["version"]:
        say(f"k8sbuild {__version__}")
        raise Exit(code=0)
    try:
        _refuse_misplaced(command)
        _one_heap()
        with _signals():
            answer = _answer(command, given, dry=bool(given["dry"] or ctx.config.run.dry))
            say(_document(answer.kind, answer.data) if given["format"] == "json" else answer.text())
    except BuildError as error:
        raise _failed(error, given) from None
    except KeyboardInterrupt:
        raise _failed(_interrupted(), given) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        named = StoreError(f"{where}{error.strerror or error}", reason="os-error", hint="k8sbuild doctor")
        raise _failed(named, given) from error
    if answer.exit_code or answer.last:
        raise Exit(code=answer.exit_code)


def _refuse_misplaced(command: Command) -> None:
    """Refuse what Invoke passes over and runs the task: a flag for before a task only, and words after ``--``."""
    words = sys.argv[1:]
    if "--" in words and (rest := words[words.index("--") + 1 :]):
        hint = f"leave -- out, or k8sbuild help {command.name}"
        raise UsageError(f"nothing reads what comes after --: {shlex.join(rest)}", reason="usage", hint=hint)
    for word in words:
        if word.startswith("--print-completion-script"):
            hint = f"{Path(sys.argv[0]).name} {word}, without a command"
            raise UsageError(f"{word} does not belong to {command.name}", reason="usage", hint=hint)


def _one_heap() -> None:
    """Keep C's heap in one piece: glibc gives each thread its own and keeps what is freed, a quarter of our memory.

    Source: mallopt(3), ``M_ARENA_MAX``; other C libraries have neither the habit nor the call.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _answer(command: Command, given: Mapping[str, Any], *, dry: bool) -> Answer:
    for item in (*command.declared(), *command.flags()):
        _refuse_empty(item, given[item.flag])
    own = {item.key: _own(item, given[item.flag]) for item in command.flags()}
    request = Request(flags=_flags(command, given), env=dict(os.environ), root=project_root(_here()))
    run = command.dry if dry else command.run
    if run is None:
        raise UsageError(f"{command.name} has no dry run", reason="no-dry-run", hint=f"k8sbuild help {command.name}")
    return run(Call(request=request, own=own))


def _refuse_empty(item: Declared, raw: Any) -> None:
    """Refuse a flag without a value: a shell's variable that is not set would silently mean the default."""
    words = raw if isinstance(raw, list) else [raw]
    if any(isinstance(word, str) and not word.strip(" ,") for word in words):
        hint = f"give a value, or leave --{item.flag} out"
        raise UsageError(f"--{item.flag} is empty", reason="bad-value", hint=hint)


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        hint = "cd to the project, or to where it was made anew"
        raise UsageError("the current folder was removed", reason="no-such-folder", hint=hint) from None


def _flags(command: Command, given: Mapping[str, Any]) -> dict[str, Any]:
    values = {item.key: given[item.flag] for item in command.declared()}
    # a value of --set may have commas of its own
    return {key: value if key == "set" else _joined(value) for key, value in values.items()}


def _joined(raw: Any) -> Any:
    """Return a flag's value; ``--plugin=a,b`` and ``--plugin=a --plugin=b`` are the same."""
    return ",".join(raw) if isinstance(raw, list) else raw


def _own(item: Declared, raw: Any) -> Value:
    return parse(item, item.option.default if raw is None else _joined(raw), f"--{item.flag}")


def _document(kind: str, data: Mapping[str, Any]) -> str:
    return json.dumps({"schema": f"k8sbuild/{kind}/1", **data}, indent=2, default=str)


def _failed(error: BuildError, given: Mapping[str, Any]) -> Exit:
    from k8sbuild.report.answers import failure

    # Where standard output cannot be written, the error that came first is the one to tell.
    with suppress(OSError):
        if given["format"] == "json":
            say(_document("error", error.to_dict()))
        flush(sys.stdout)
    say(failure(error), sys.stderr)
    return Exit(code=error.exit_code)


def _interrupted() -> Interrupted:
    return Interrupted(
        "interrupted; what is finished is kept", reason="interrupted", hint="run the same command again to go on"
    )


def project_root(start: Path) -> Path:
    """Return the folder of the project: the nearest with a configuration, else the nearest with a tasks.py."""
    project = find_project(start)
    if project.files:
        return project.root
    return next((folder for folder in (start, *start.parents) if (folder / "tasks.py").is_file()), start)


@contextmanager
def _signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP stop the work as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt
