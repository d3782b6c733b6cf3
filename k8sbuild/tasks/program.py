"""The command ``k8sbuild``: the same tasks as a program of their own."""

from __future__ import annotations

import re
import sys

from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from k8sbuild import __version__
from k8sbuild.errors import UsageError, suggest
from k8sbuild.report.stream import flush

from . import ns

__all__ = ["main"]


class _Program(Program):
    """Invoke's program with an exit code and a suggestion of our own for a command line that is wrong."""

    def parse_core_args(self) -> None:
        try:
            super().parse_core_args()
        except (ParseError, ValueError) as error:
            raise _wrong(error) from None

    def parse_tasks(self) -> None:
        try:
            super().parse_tasks()
        except ParseError as error:
            raise _wrong(error, (*ns.task_names, *(error.context.flag_names() if error.context else ()))) from None
        except ValueError as error:
            raise _wrong(error) from None


def _wrong(error: Exception, known: tuple[str, ...] = ()) -> Exit:
    word = re.search(r"No idea what '(.*)' is!", str(error))
    close = suggest(word[1], known) if word else ""
    return Exit(f"error: {str(error).rstrip('!')}{close} [usage]\nhint:  k8sbuild help", code=UsageError.exit_code)


def main() -> None:
    """Run the program with the arguments of the process."""
    try:
        _Program(name="k8sbuild", binary="k8sbuild", version=__version__, namespace=ns).run()
    except BrokenPipeError:
        flush(sys.stdout)
