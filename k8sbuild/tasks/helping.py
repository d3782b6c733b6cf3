"""The command ``help``: all commands, or the flags of some."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .command import Answer, Call, Command, describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from k8sbuild.options import Declared

__all__ = ["help_about"]


def help_about(_: Call, *, commands: Sequence[Command]) -> Answer:
    """Describe the commands that are named after ``help``, else all.

    Invoke takes ``help build`` for two tasks. So the names are read from the
    process's arguments, and no task that follows is run.
    """
    words = sys.argv[sys.argv.index("help") + 1 :] if "help" in sys.argv else []
    chosen = [c for c in commands if {c.name, *c.aliases} & set(words)]
    data = {"commands": [_data(command) for command in chosen or commands]}
    return Answer(kind="help", data=data, text=lambda: _text(chosen, commands), last=True)


def _data(command: Command) -> dict[str, Any]:
    flags = [
        {"flag": f"--{d.flag}", "type": d.option.type, "help": describe(d), "plugin": d.plugin} for d in _flags(command)
    ]
    return {"name": command.name, "aliases": list(command.aliases), "help": command.help, "flags": flags}


def _flags(command: Command) -> list[Declared]:
    return [*command.declared(), *command.flags()]


def _text(chosen: Iterable[Command], commands: Iterable[Command]) -> str:
    from k8sbuild.report.words import columns

    pages = [_page(command) for command in chosen]
    if pages:
        return "\n\n".join(pages)
    rows = [(", ".join((c.name, *c.aliases)), c.help) for c in commands]
    return f"{columns(rows, indent='  ')}\n\nk8sbuild help COMMAND gives a command's flags."


def _page(command: Command) -> str:
    from k8sbuild.report.words import columns

    rows = [
        (f"--{d.flag}" if d.option.type == "bool" else f"--{d.flag}={d.option.type.upper()}", describe(d))
        for d in _flags(command)
    ]
    return f"k8sbuild {command.name}: {command.help}\n\n{columns(rows, indent='  ')}"
