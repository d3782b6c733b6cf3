"""One server of ours with all its components, and its data directory."""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from k8sbuild_single_binary_checks.servers import free_ports

from .separate import admin_of
from .servers import running, wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from .workspace import Workspace

__all__ = ["Lone", "lone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lone:
    """A server that is ready.

    Args:
        process: its process.
        port: of its API server.
        data: its data directory.
        ready: seconds from its start until it was ready.
    """

    process: subprocess.Popen[bytes]
    port: int
    data: Path
    ready: float

    @property
    def admin(self) -> tuple[Path, Path]:
        """The administrator's certificate and key."""
        return admin_of(self.data)


@cache
def binary(workspace: Workspace) -> Path:
    """Build the server."""
    project = workspace.project("lone")
    workspace.invoke(project, "build", "--skip-validate")
    return project / "dist" / "artifacts" / "k8s"


@contextmanager
def lone(workspace: Workspace, name: str, data: Path | None = None) -> Iterator[Lone]:
    """Run a server until the block ends; on an empty data directory, which is removed, if none is given."""
    program, folder = binary(workspace), data or workspace.fresh(f"{name}-data")
    api, manager, scheduler = free_ports(3)
    argv = [
        str(program), "--server-mode=single", "--disable-agent", f"--data-dir={folder}", "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1", f"--https-listen-port={api}", f"--controller-manager-port={manager}",
        f"--scheduler-port={scheduler}",
    ]  # fmt: skip
    began = time.monotonic()
    with running(argv, workspace.log(name)) as process:
        wait_for(f"https://127.0.0.1:{api}/readyz", admin_of(folder))
        yield Lone(process=process, port=api, data=folder, ready=time.monotonic() - began)
    if data is None:
        shutil.rmtree(folder)
