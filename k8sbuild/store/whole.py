"""Large folders that hardly ever change: known to be a tree as a whole, without a look at each file's entry.

Beside the folder lies ``<folder>.whole``: the digest of the tree, and the state of all files when it was laid out.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from . import look
from .files import RACY_NS as _RACY_NS
from .files import write_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["is_known", "remember"]


def is_known(folder: Path, tree: str) -> bool:
    """Say whether a folder is as it was when it was remembered as that tree.

    Args:
        tree: digest.
    """
    try:
        known = json.loads(_beside(folder).read_bytes())
        return bool(known == [tree, look.aside([str(folder)])[0][0]])
    except (OSError, ValueError):
        return False


def remember(folder: Path, tree: str) -> None:
    """Note that a folder is a tree, unless it changed so shortly before that a later change might not show."""
    digest, newest = look.state(str(folder))
    if newest < time.time_ns() - _RACY_NS:
        write_file(_beside(folder), json.dumps([tree, digest]).encode("ascii"))


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.whole")
