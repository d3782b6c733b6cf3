"""Wheels from PyPI, by the user's own pip and as it is configured."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from k8sbuild.errors import FetchError, ToolError

from .process import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["download", "versions"]


def download(package: str, version: str, dest: Path, env: Mapping[str, str], log: Path) -> Path:
    """Download one wheel with the user's pip settings; pip checks it against the index's digest.

    Raises:
        FetchError: reasons ``unknown-version``, ``network-error``, ``digest-mismatch``, ``pip-failed``.
        ToolError: reason ``pip-missing``.
    """
    options = ["--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:", "--dest", str(dest)]
    argv = [sys.executable, "-m", "pip", "download", *options, f"{package}=={version}"]
    done = run(argv, cwd=dest, env={**env, "LC_ALL": "C.UTF-8"}, log=log)
    if done.code:
        raise _failure(f"{package} {version}", done.err, log)
    return next(dest.glob("*.whl"))


def versions(package: str, cwd: Path, env: Mapping[str, str], log: Path) -> list[str]:
    """Return the versions of a package that the index has, the newest first.

    Raises:
        FetchError, ToolError: as :func:`download`.
    """
    argv = [sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", package]
    done = run(argv, cwd=cwd, env={**env, "LC_ALL": "C.UTF-8"}, log=log)
    if done.code:
        raise _failure(package, done.err, log)
    listed = re.search(r"Available versions: (.*)", done.out.decode())
    return listed[1].split(", ") if listed else []


_REASONS = (
    ("pip-missing", r"No module named pip", "use a Python with pip and venv"),
    ("digest-mismatch", r"DO NOT MATCH THE HASHES|hash mismatch", "the index gives other bytes than it says"),
    ("network-error", r"NewConnectionError|Max retries|Read timed out|SSLError|ConnectionError|ProxyError",
     "check the network, proxies and pip's index settings"),
    ("unknown-version", r"No matching distribution|Could not find a version",
     "this version has no wheel for this machine: choose another"),
)  # fmt: skip


def _failure(what: str, text: str, log: Path) -> FetchError | ToolError:
    """Return the error for a failed pip."""
    found = (row for row in _REASONS if re.search(row[1], text))
    reason, _, hint = next(found, ("pip-failed", "", "the log has the whole output"))
    kind = ToolError if reason == "pip-missing" else FetchError
    last = os.linesep.join(text.strip().splitlines()[-3:])
    return kind(f"{what}: pip could not download it: {last}", reason=reason, hint=hint, log=str(log))
