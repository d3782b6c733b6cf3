"""A command as data, and the Invoke task that is made of it and the option model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from invoke.parser.argument import Argument
from invoke.tasks import Task

from k8sbuild.errors import BuildError
from k8sbuild.kinds import Option
from k8sbuild.options import Declared, declare
from k8sbuild.project import Request

__all__ = ["Answer", "Call", "Command", "ModelTask", "describe", "model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What somebody asked a command to do: the request, and values of the command's own flags."""

    request: Request
    own: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command answers.

    ``kind`` is that of the schema ``k8sbuild/<kind>/1``; ``text`` is made only
    where text is wanted; ``last`` keeps tasks that follow from running.
    """

    kind: str
    data: Mapping[str, Any]
    text: Callable[[], str]
    exit_code: int = 0
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command.

    Args:
        help: one line for ``--list``.
        run: does it, a few lines over :mod:`k8sbuild.api`.
        dry: answers ``--dry``; ``None`` where nothing sensible can be said.
        options: names of the library's options that concern it.
        plugins: whether plugins' flags concern it.
        own: flags that are no options of a build.
    """

    name: str
    help: str
    run: Callable[[Call], Answer]
    dry: Callable[[Call], Answer] | None
    aliases: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    plugins: bool = False
    own: tuple[Option, ...] = ()

    def flags(self) -> list[Declared]:
        """Return the command's own flags and those that every command has."""
        return [Declared(plugin="", option=option) for option in (*self.own, *_COMMON)]

    def declared(self) -> list[Declared]:
        """Return the options that concern the command and have a flag."""
        taken = {item.flag for item in self.flags()}
        return [item for item in model().values() if item.flag not in taken and self._concerns(item)]

    def _concerns(self, item: Declared) -> bool:
        return bool(self.plugins and item.flag) if item.plugin else item.option.name in self.options


#: Invoke takes --dry and --version after a task for its own and runs the task; so each task has them itself.
_COMMON = (
    Option(name="format", help="json: one document on standard output", default="text", choices=("text", "json")),
    Option(name="dry", help="say what would be done, do nothing", type="bool", default=False),
    Option(name="version", help="print the version and exit", type="bool", default=False),
)
#: The short names that Invoke has for them.
_SHORT = {"dry": ("R",), "version": ("V",)}


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

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:  # noqa: ARG002 - Invoke's
        """Return the flags; asked for once the command line is read, since plugins are loaded for it."""
        return [_flag(item) for item in (*self.command.declared(), *self.command.flags())]


class _Flag(Argument):
    """A flag that must have a value where it takes one, and is called by its name where it has none.

    Invoke takes a list for given that is not, and copies the flags of all commands at each start; since it replaces
    values only whole, the copy may be flat.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.raw_value = None

    def __repr__(self) -> str:
        """Return what Invoke's errors call it."""
        return f"--{self.name}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Argument:
        memo[id(self)] = made = copy(self)
        return made


@cache
def _flag(item: Declared) -> Argument:
    """Return an option as Invoke's parser knows it: one for all commands, since Invoke copies those of all of them."""
    # numbers are text here: Invoke's own conversion ends in a traceback
    kind = {"bool": bool, "list": list}.get(item.option.type, str)
    made = _Flag(
        names=(item.flag, *_SHORT.get(item.key, ())),
        kind=kind,
        help=describe(item),
        default=False if kind is bool else None,
    )
    # Invoke gives lists an empty one to begin with, and so takes a flag that is given nothing for one that has it.
    made.raw_value = None
    return made


def describe(item: Declared) -> str:
    """Return an option's help with its choices, default and variables."""
    option = item.option
    notes = [f"one of {', '.join(option.choices)}"] if option.choices else []
    notes += [f"default {option.default}"] if option.default not in ("", False, (), 0) else []
    notes += [f"${name}" for name in option.env]
    return option.help + (f" [{'; '.join(notes)}]" if notes else "")
