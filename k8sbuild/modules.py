"""The Go modules of a build's programs, and why each has its version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .config import find_project
from .errors import UsageError, suggest
from .project import prepare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .project import Request
    from .resolve import Program

__all__ = ["matching", "modules", "reasons"]


def modules(request: Request, *, part: str = "") -> dict[str, list[dict[str, str]]]:
    """Return the build list of each program: ``module``, ``version``, ``why``.

    Args:
        part: of a module's path; all modules by default.

    Raises:
        UsageError: ``unknown-module``: no program has a module like that.
    """
    log = find_project(request.root).state / "logs" / "deps.log"
    programs = prepare(request, log=log, keep_lock=False).resolved.programs
    return matching({name: reasons(program) for name, program in programs.items()}, part)


def matching(programs: Mapping[str, list[dict[str, str]]], part: str) -> dict[str, list[dict[str, str]]]:
    """Return the rows of modules whose path has a part.

    Raises:
        UsageError: ``unknown-module``.
    """
    found = {name: [row for row in rows if part in row["module"]] for name, rows in programs.items()}
    if programs and not any(found.values()):
        paths = {row["module"] for rows in programs.values() for row in rows}
        known = {word for path in paths for word in (path.rpartition("/")[2], path)}
        raise UsageError(
            f"no program has a module {part!r}{suggest(part, known)}", reason="unknown-module", hint="k8sbuild deps"
        )
    return found


def reasons(program: Program) -> list[dict[str, str]]:
    """Return module, version and why; modules that are as Kubernetes wants them say nothing else.

    Args:
        program: with its build list.
    """
    raised = {row["module"]: row for row in program.raised}
    why_replaced = {item.path: item.why or item.name for item in program.replaces}
    required = {item.path: item.name for item in program.requires}
    rows = []
    for path, version, code, code_version in program.modules:
        notes = [f"raised from {raised[path]['kubernetes']} by {raised[path]['by']}"] if path in raised else []
        notes += [f"replaced: {why_replaced[path]}"] if path in why_replaced else []
        notes += [f"required by {required[path]}"] if path in required else []
        notes += ["code of this build's patched source"] if not code_version else []
        notes += [f"code of {code}@{code_version}"] if code_version and (code, code_version) != (path, version) else []
        rows.append({"module": path, "version": version, "why": "; ".join(notes)})
    return rows
