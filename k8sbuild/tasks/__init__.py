"""The tasks: ``from k8sbuild.tasks import ns`` is a whole ``tasks.py``."""

from __future__ import annotations

import atexit
import sys

from invoke.collection import Collection

from k8sbuild.report.stream import flush

from .command import ModelTask
from .perform import perform
from .verbs import COMMANDS

__all__ = ["ns"]

ns = Collection(*(ModelTask(command, perform) for command in COMMANDS))

# what Invoke prints itself (`invoke --list | head`) is written at exit, where a closed pipe would be reported
atexit.register(lambda: flush(sys.stdout))
