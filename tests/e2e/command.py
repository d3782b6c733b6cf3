"""The command line, as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def k8sbuild(*args: str, folder: Path = ROOT, **variables: str) -> dict[str, object]:
    """Run the command line and return its JSON answer."""
    program = Path(sys.executable).with_name("k8sbuild")
    argv = [str(program), *args, "--format=json"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, env={**os.environ, **variables})
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def steps(answer: dict[str, object]) -> list[dict[str, Any]]:
    """Return what became of each step."""
    found = answer["steps"]
    assert isinstance(found, list)
    return found
