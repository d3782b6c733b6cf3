"""A small disk for tests of what is full or cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Disk", "disk"]


@dataclass(frozen=True, slots=True)
class Disk:
    """A small disk of its own."""

    folder: Path

    def remount(self, options: str) -> None:
        """Change the disk: ``size=256k``, ``ro``, ``rw``."""
        subprocess.run(["mount", "-o", f"remount,{options}", self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mount a tmpfs of 256 KiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small tmpfs needs root: full and read-only disks are NOT tested here")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=False).returncode:
        pytest.skip("mount is not permitted here: full and read-only disks are NOT tested")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)
