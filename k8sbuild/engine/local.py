"""Files of plugins and of the project that steps read: overlays, series, templates.

They are read once, while the graph is made: what a step's key says of them and
what its run function gets are of one moment, whoever edits them meanwhile.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.errors import PlanError
from k8sbuild.store.files import disk_errors, plain_mode

from .keys import digest

if TYPE_CHECKING:
    from k8sbuild.errors import BuildError

__all__ = ["Files", "code", "components", "file", "folder"]

#: What editors and interpreters leave.
_PASSED = ("~", ".pyc", ".swp")
#: Mode (0o644 or 0o755) and content by path with ``/``, sorted.
Files = Mapping[str, tuple[int, bytes]]


def folder(root: Path, missing: BuildError) -> Files:
    """Read a folder; caches, hidden and editor files are passed over.

    Args:
        missing: raised where there is no such folder.

    Raises:
        PlanError: ``linked-folder``: a link to a folder is in it. It would be left out, or lead out of the folder.
            ``not-a-file``: a fifo, a socket or a device is in it.
    """
    if not root.is_dir():
        raise missing
    names, links = _listing(root)
    if links:
        raise PlanError(
            f"{root}: {', '.join(links)}: a link to a folder",
            reason="linked-folder",
            hint="put the folder itself there, or name it in an item of its own",
        )
    return {name: _read(root / name) for name in names}


def file(path: Path, missing: BuildError) -> Files:
    """Read one file, by its name.

    Args:
        missing: raised where there is no such file.
    """
    if not path.is_file():
        raise missing
    return {path.name: _read(path)}


def code(root: Path) -> Files:
    """Read the files of an import package or a module; links to folders hold data and are passed over."""
    return {name: _read(root / name) for name in _listing(root)[0]} if root.is_dir() else {root.name: _read(root)}


def components(name: str, files: Files) -> dict[str, str]:
    """Return a key's component per file: ``file:<name>/<path>`` → digest and mode."""
    return {f"file:{name}/{path}": digest(data) + ("x" if mode & 0o100 else "") for path, (mode, data) in files.items()}


def _listing(root: Path) -> tuple[list[str], list[str]]:
    """Return the files below a folder, and the links to folders, both sorted."""
    files: list[str] = []
    links: list[str] = []
    for place, folders, names in os.walk(root):
        below = Path(place).relative_to(root)
        folders[:] = [f for f in folders if f != "__pycache__" and not f.startswith(".")]
        links += [(below / f).as_posix() for f in folders if Path(place, f).is_symlink()]
        files += [(below / n).as_posix() for n in names if not n.startswith(".") and not n.endswith(_PASSED)]
    return sorted(files), sorted(links)


def _read(path: Path) -> tuple[int, bytes]:
    with disk_errors("read", path):
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            # Reading a fifo would wait for somebody who writes.
            raise PlanError(f"{path} is no regular file", reason="not-a-file", hint="put a file there, or remove it")
        return plain_mode(mode), path.read_bytes()
