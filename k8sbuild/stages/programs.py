"""What must hold of programs that were built: linked statically, for their platform, and of their version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from k8sbuild.build import host_platform
from k8sbuild.errors import ValidateError
from k8sbuild.golang.binary import elf_machine, is_static

if TYPE_CHECKING:
    from pathlib import Path

    from k8sbuild.engine.context import StepContext

__all__ = ["check"]


def check(ctx: StepContext) -> list[str]:
    """Look at programs, by a :class:`~k8sbuild.kinds.Check` that names this function.

    ``params`` are ``programs`` (versions by address), ``arch``, ``words`` with which they say their version, where they
    run here, and ``env`` for that (may be left out).

    Raises:
        ValidateError: ``static-check``.
    """
    facts = []
    for address, version in ctx.params["programs"].items():
        path = ctx.path(address)
        problem = _problem(ctx, path, version)
        if problem:
            raise ValidateError(f"{path.name} {problem}", reason="static-check")
        facts.append(f"{path.name} {version}, {path.stat().st_size / 2**20:.1f} MiB")
    return facts


def _problem(ctx: StepContext, path: Path, version: str) -> str:
    p = ctx.params
    if not is_static(path):
        return "is linked dynamically"
    if (arch := elf_machine(path)) != p["arch"]:
        return f"is for {arch}, not {p['arch']}"
    if arch != host_platform().arch:
        return ""
    # Some end with an exit code of their own when they have said it.
    said = ctx.exec([path, *p["words"]], env=p.get("env"), check=False)
    return "" if says(said, version) else f"says {said[:200]!r}, not {version}"


def says(text: str, version: str) -> bool:
    """Say whether a text names a version, with or without ``v``.

    >>> [says(f"tool version {text} (HEAD)", "v1.2.3") for text in ("v1.2.3", "1.2.3", "1.2.31", "1.2.3-rc.1")]
    [True, True, False, False]
    """
    return re.search(rf"(?<![\w.])v?{re.escape(version.removeprefix('v'))}(?![\w.+-])", text) is not None
