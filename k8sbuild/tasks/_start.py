"""What the process needs before anything else of ours is loaded."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

# Invoke has Python compile every module anew each time, for the sake of one small tasks.py; of an editable install
# that is all of us, and a third of a build that has nothing to do.
sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))

# What modules, options and trees are made of stays: to look for garbage in it again and again is a fifth of our time.
gc.set_threshold(100_000, *gc.get_threshold()[1:])

# Python has no object for a stream that was closed before it started (`invoke build >&-`).
sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - until the end
sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - until the end


def flush_output() -> None:
    """Write what Invoke has printed, and end in order where nobody reads it any more."""
    from k8sbuild.report.stream import flush

    flush(sys.stdout)
