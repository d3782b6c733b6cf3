"""The reference as Markdown, made from the code: hooks, kinds, options, tasks, reasons, API.

A page says ``<!-- model: hooks -->`` where :func:`hooks` shall stand.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import reasons as scanner

from k8sbuild import api as library
from k8sbuild import errors, hookspecs, kinds, offers
from k8sbuild.engine.context import StepContext
from k8sbuild.options import declare
from k8sbuild.plugins import load
from k8sbuild.tasks.command import describe
from k8sbuild.tasks.verbs import COMMANDS
from k8sbuild.testing import checks, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sphinx.application import Sphinx

    from k8sbuild.options import Declared

MEANINGS = Path(__file__).parents[1] / "reference/reasons.toml"
_PLACE = re.compile(r"^<!-- model: (\w+) -->$", re.MULTILINE)


def hooks() -> str:
    """Return a section for each hook."""
    names = [name for name in vars(hookspecs) if name.startswith("k8sbuild_")]
    return "\n\n".join(_function(name, getattr(hookspecs, name)) for name in names)


def kind_classes() -> list[type]:
    """Return the classes of all kinds, in the order of their modules."""
    found = [item for module in (offers, kinds) for item in vars(module).values() if inspect.isclass(item)]
    return [item for item in dict.fromkeys(found) if item.__name__ in kinds.__all__]


def kinds_() -> str:
    """Return a section for each kind with its fields."""
    return "\n\n".join(_kind(item) for item in kind_classes())


def _kind(item: type) -> str:
    rows = [(f"`{f.name}`", f"`{_plain(f.type)}`", _default(f)) for f in fields(item)]
    return "\n\n".join([f"## {item.__name__}", _markdown(item), _table(("field", "type", "default"), rows)])


def _default(field: Any) -> str:
    if field.default is not MISSING:
        return f"`{field.default!r}`"
    return "required" if field.default_factory is MISSING else "empty"


def options() -> str:
    """Return a table of the library's options and of those of the first-party plugins."""
    plugins = load()
    given = [(p.name, option) for p in plugins for option in plugins.ask(p, "k8sbuild_options")]
    return _table(("key", "flag", "variable", "type", "what it is"), map(_option, declare(given).values()))


def _option(item: Declared) -> tuple[str, ...]:
    flag = f"--{item.flag}" if item.flag else f"--set {item.key}=…"
    return f"`{item.key}`", f"`{flag}`", f"`{item.variable}`" if item.variable else "", item.option.type, describe(item)


def tasks() -> str:
    """Return a section for each command with its flags; plugins' flags come with those that build."""
    return "\n\n".join(_task(command) for command in COMMANDS)


def _task(command: Any) -> str:
    others = f" Also called `{'`, `'.join(command.aliases)}`." if command.aliases else ""
    flags = [f"`--{name}`" for name in command.options] + (["plugins' flags"] if command.plugins else [])
    common = [f"`--{item.flag}`" for item in command.flags() if item.option not in command.own]
    own = [f"- `--{option.name}`: {option.help}" for option in command.own]
    lines = [f"## {command.name}", command.help + others, "\n".join(own)]
    lines += [f"Options of a build: {', '.join(flags)}."] if flags else []
    return "\n\n".join(filter(None, [*lines, f"Always: {', '.join(common)}."]))


def reasons() -> str:
    """Return a table of error reasons: meaning, and the modules that give them."""
    meanings = tomllib.loads(MEANINGS.read_text(encoding="utf-8"))
    rows = [
        (f"`{name}`", meanings.get(name, "**undocumented**"), ", ".join(f"`{module}`" for module in sorted(modules)))
        for name, modules in sorted(scanner.scan().items())
    ]
    return _table(("reason", "meaning", "given by"), rows)


def exits() -> str:
    """Return a table of exit codes."""
    named = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, errors.BuildError)]
    rows = [(str(item.exit_code), f"`{item.__name__}`", _first(item)) for item in named]
    return _table(("exit code", "error", "what it is"), rows)


def api() -> str:
    """Return sections for the library's functions and classes, a step's context and what plugin authors' tests use."""
    names = [(f"api.{name}", getattr(library, name)) for name in library.__all__]
    mine = [(f"{kit.__name__.rpartition('.')[2]}.{n}", getattr(kit, n)) for kit in (checks, steps) for n in kit.__all__]
    members = [(n, m) for n, m in vars(StepContext).items() if not n.startswith("_") and inspect.isfunction(m)]
    context = [("StepContext", StepContext), *((f"StepContext.{name}", member) for name, member in members)]
    return "\n\n".join(_function(name, item) for name, item in [*names, *context, *mine])


def _function(name: str, item: Any) -> str:
    signature = f"```text\n{name}{_plain(inspect.signature(item))}\n```" if inspect.isroutine(item) else ""
    return "\n\n".join(filter(None, [f"## {name}", signature, _markdown(item)]))


def _markdown(item: Any) -> str:
    """Return a docstring as Markdown: roles as code, sections as lists, examples as code."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", inspect.getdoc(item) or "")
    text = re.sub(r"^(Args|Attributes|Raises|Returns|Yields):\n((?:    .*\n?|\n)+)", _section, text, flags=re.MULTILINE)
    return re.sub(r"((?:^>>> .*\n?)(?:^\S.*\n?)*)", _example, text, flags=re.MULTILINE).strip()


def _example(match: re.Match[str]) -> str:
    return f"```python\n{match[1].rstrip()}\n```\n"


def _section(match: re.Match[str]) -> str:
    body = re.sub(r"\n {8,}", " ", match[2])
    items = [f"- {line.strip()}" for line in body.splitlines() if line.strip()]
    return f"**{match[1]}**\n\n" + "\n".join(items) + "\n\n"


def _first(item: Any) -> str:
    return (inspect.getdoc(item) or "").partition("\n")[0]


def _plain(item: Any) -> str:
    return str(item).replace("'", "")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


PARTS: dict[str, Callable[[], str]] = {
    "hooks": hooks,
    "kinds": kinds_,
    "options": options,
    "tasks": tasks,
    "reasons": reasons,
    "exits": exits,
    "api": api,
}


def fill(text: str) -> str:
    """Replace every place of a page by its part."""
    return _PLACE.sub(lambda match: PARTS[match[1]](), text)


def _read(_app: Sphinx, _name: str, source: list[str]) -> None:
    source[0] = fill(source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Make this a Sphinx extension."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
