"""The tasks: ``from k8sbuild.tasks import ns`` is a whole ``tasks.py``."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING

from invoke.collection import Collection

from k8sbuild.errors import UsageError
from k8sbuild.report.stream import flush, say

from .command import ModelTask
from .perform import perform
from .verbs import COMMANDS

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ns"]

# What modules, options and trees are made of stays: to look for garbage in it again and again is a fifth of our time.
gc.set_threshold(100_000, *gc.get_threshold()[1:])

# Python has no object for a stream that was closed before it started (`invoke build >&-`).
sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - until the end
sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - until the end

ns = Collection(*(ModelTask(command, perform) for command in COMMANDS))


def _quiet(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, BrokenPipeError):
        return
    if _SETTING_UP.intersection(frame.f_code.co_name for frame, _ in walk_tb(trace)):
        from k8sbuild.report.answers import failure

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
atexit.register(lambda: flush(sys.stdout))
