"""Facts of the machine and of the versions that a result belongs to; nothing that names the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["facts", "versions"]


def facts() -> dict[str, Any]:
    """Return what numbers depend on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "processor": _processor(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")),
        "architecture": platform.machine(),
        # Its version without the local part, which names who built it.
        "kernel": platform.release().partition("-")[0],
        "load_at_start": round(os.getloadavg()[0], 1),
    }


def _processor(text: str) -> str:
    """Return the model of the first processor.

    >>> _processor("processor : 0\\nmodel name : Some CPU\\n")
    'Some CPU'
    """
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), "")


def versions(root: Path) -> dict[str, str]:
    """Return the versions that were measured, the commit with a mark where something is changed."""
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    changed = "+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else ""
    return {"k8sbuild": version("k8sbuild"), "commit": commit + changed, "python": platform.python_version()}


def _git(root: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=root, capture_output=True, text=True)
    return done.stdout.strip()
