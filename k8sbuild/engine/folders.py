"""The folders of one build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .address import parse

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Folders"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The folders of one build.

    Args:
        work: work trees of this build, the engine's alone.
        cache: shared by all builds: store, module cache, toolchains.
        gocache: the compile cache; shared by all builds, but for a second one that proves the first.
        scratch: temporary output folders.
        logs: output of external commands of this run.
    """

    work: Path
    cache: Path
    gocache: Path
    scratch: Path
    logs: Path

    def log_of(self, step: str) -> Path:
        """Return where the output of a step's commands goes."""
        return self.logs / f"{parse(step).folder}.log"
