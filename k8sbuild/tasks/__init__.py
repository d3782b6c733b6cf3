"""The tasks: ``from k8sbuild.tasks import ns`` is a whole ``tasks.py``."""

from __future__ import annotations

import atexit
import sys
from traceback import walk_tb
from typing import TYPE_CHECKING

from invoke.collection import Collection

from . import _start  # before all others
from .command import ModelTask
from .perform import perform
from .verbs import COMMANDS

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ns"]

ns = Collection(*(ModelTask(command, perform) for command in COMMANDS))


def _quiet(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, BrokenPipeError):
        return
    if _SETTING_UP.intersection(frame.f_code.co_name for frame, _ in walk_tb(trace)):
        from k8sbuild.errors import UsageError
        from k8sbuild.report.answers import failure
        from k8sbuild.report.stream import say

        what = " ".join(str(error).split()) or kind.__name__
        hint = "look at --config, $INVOKE_RUNTIME_CONFIG and invoke.yaml; a password needs a terminal"
        say(failure(UsageError(f"Invoke cannot take its settings: {what}", reason="usage", hint=hint)), sys.stderr)
        raise SystemExit(UsageError.exit_code)
    sys.__excepthook__(kind, error, trace)


#: What Invoke does, after it has the tasks, with settings of its own, and does not expect to fail.
_SETTING_UP = frozenset({"load_project", "update_config"})

# What Invoke prints itself (`invoke --list | head`, `invoke --complete`) meets a closed pipe where it is printed or
# at exit, where it is written.
sys.excepthook = _quiet
atexit.register(_start.flush_output)
