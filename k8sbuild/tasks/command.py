"""A command as data, and the Invoke task that is made of it and the option model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from invoke.parser.argument import Argument
from invoke.tasks import Task

from k8sbuild.errors import BuildError
from k8sbuild.options import Declared, declare
from k8sbuild.project import Request

__all__ = ["Answer", "Call", "Command", "Flag", "ModelTask", "model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What somebody asked a command to do: the request, values of the command's own flags, ``text`` or ``json``."""

    request: Request
    own: Mapping[str, Any] = field(default_factory=dict)
    format: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command answers: ``schema`` is ``k8sbuild/<kind>/1``; ``text`` is made only where text is wanted."""

    kind: str
    data: Mapping[str, Any]
    text: Callable[[], str]
    exit_code: int = 0
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A flag of one command that is no option of a build."""

    name: str
    help: str
    boolean: bool = False
    short: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command.

    Args:
        help: one line for ``--list``.
        run: does it, a few lines over :mod:`k8sbuild.api`.
        dry: answers ``--dry``; ``None`` where nothing sensible can be said.
        options: names of the library's options that concern it.
        plugins: whether plugins' flags concern it.
        own: flags that are no options.
    """

    name: str
    help: str
    run: Callable[[Call], Answer]
    dry: Callable[[Call], Answer] | None
    aliases: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    plugins: bool = False
    own: tuple[Flag, ...] = ()

    def flags(self) -> tuple[Flag, ...]:
        """Return the command's own flags and those of every command."""
        return (*self.own, *_COMMON)

    def declared(self) -> list[Declared]:
        """Return the options that concern the command and have a flag."""
        taken = {flag.name for flag in self.flags()}
        return [
            item
            for item in model().values()
            if item.flag not in taken
            and (self.plugins and item.flag if item.plugin else item.option.name in self.options)
        ]


#: Invoke takes --dry and --version after a task for its own and runs the task; so each task has them itself.
_COMMON = (
    Flag(name="format", help="text or json (one document on standard output)"),
    Flag(name="dry", help="say what would be done, do nothing", boolean=True, short=("R",)),
    Flag(name="version", help="print the version and exit", boolean=True, short=("V",)),
)


@cache
def model() -> Mapping[str, Declared]:
    """Return every option by key, whatever is broken: the commands that need what is broken say so themselves."""
    from k8sbuild import api

    try:
        # The root folder has no configuration and no environment: only installed plugins count here.
        return api.options(Request(flags={}, env={}, root=Path("/")))
    except BuildError:
        return declare(())


class ModelTask(Task[Callable[..., None]]):
    """An Invoke task whose flags come from the option model, text parsed by ourselves."""

    def __init__(self, command: Command, perform: Callable[[Command, Any, Mapping[str, Any]], None]) -> None:
        def body(ctx: Any, **given: Any) -> None:
            perform(command, ctx, given)

        body.__doc__ = command.help
        super().__init__(body, name=command.name, aliases=command.aliases, positional=())
        self.command = command

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:  # noqa: ARG002
        """Return the flags; asked for once the command line is read, since plugins are loaded for it."""
        return [
            *(_argument(item) for item in self.command.declared()),
            *(_own_argument(flag) for flag in self.command.flags()),
        ]


def _argument(item: Declared) -> Argument:
    option = item.option
    # numbers are text here: Invoke's own conversion ends in a traceback
    kind = {"bool": bool, "list": list}.get(option.type, str)
    return Argument(name=item.flag, kind=kind, help=describe(item), default=False if kind is bool else None)


def _own_argument(flag: Flag) -> Argument:
    kind = bool if flag.boolean else str
    return Argument(names=(flag.name, *flag.short), kind=kind, help=flag.help, default=False if flag.boolean else None)


def describe(item: Declared) -> str:
    """Return an option's help with its choices, default and variables."""
    option = item.option
    notes = [f"one of {', '.join(option.choices)}"] if option.choices else []
    notes += [f"default {option.default}"] if option.default not in ("", False, (), 0) else []
    notes += [f"${name}" for name in option.env]
    return option.help + (f" [{'; '.join(notes)}]" if notes else "")
