"""Small trees in a folder, as git sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from k8sbuild.patching.tree import File

if TYPE_CHECKING:
    from pathlib import Path

Files: TypeAlias = dict[str, File]


def write(folder: Path, files: Files) -> None:
    """Write files with their modes; the folder is there afterwards, whatever is in it."""
    folder.mkdir(exist_ok=True)
    for path, file in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(file.data)
        (folder / path).chmod(file.mode)


def read(folder: Path) -> Files:
    """Return every file below the folder with the mode that git knows."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): File(path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644)
        for path in found
    }
