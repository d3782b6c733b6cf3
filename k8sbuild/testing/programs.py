"""Small Go programs, compiled as those of a build are: checks of binaries are tried on them.

::

    folder = programs.compiled(tmp_path, {"go.mod": "module example.com/tiny\\n\\ngo 1.22\\n", "main.go": source})
    assert is_static(folder / "tiny")
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import SkipTest

from k8sbuild.testing import files

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["compiled", "go"]


def go() -> Path:
    """Return the ``go`` on PATH.

    Raises:
        unittest.SkipTest: there is none; pytest and unittest then skip the test with the reason.
    """
    found = shutil.which("go")
    if found is None:
        raise SkipTest("no go on PATH: what needs a Go compiler is NOT tested here")
    return Path(found)


def compiled(folder: Path, tree: Mapping[str, str], *, arch: str = "amd64") -> Path:
    """Compile every program of a module: static, stripped, with nothing of the user's and no network.

    Args:
        folder: where the module is written.
        tree: text of the module's files by path; other modules that it needs are in it too, behind ``replace``.
        arch: ``GOARCH`` of Linux.

    Returns:
        The folder with the programs, each named as ``go`` names it.

    Raises:
        unittest.SkipTest: there is no ``go``.
        subprocess.CalledProcessError: it does not compile; what ``go`` says is on standard error.
    """
    argv = [str(go()), "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", "bin/", "./..."]
    alone = {"GOENV": "off", "GOFLAGS": "", "GOWORK": "off", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    made_for = {"GOOS": "linux", "GOARCH": arch, "CGO_ENABLED": "0"}
    subprocess.run(argv, cwd=files.write(folder, tree), env={**os.environ, **alone, **made_for}, check=True)
    return folder / "bin"
