"""The command ``deps``: the Go modules of each program and why each has its version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .command import Answer, Call

if TYPE_CHECKING:
    from k8sbuild.resolve import Program

__all__ = ["deps", "reasons"]


def deps(call: Call) -> Answer:
    """List the build list of each program; ``--module`` picks some."""
    from k8sbuild.config import find_project
    from k8sbuild.project import prepare

    log = find_project(call.request.root).state / "logs" / "deps.log"
    programs = prepare(call.request, log=log).resolved.programs
    wanted = str(call.own["module"])
    data = {name: [row for row in reasons(program) if wanted in row["module"]] for name, program in programs.items()}
    return Answer(kind="deps", data={"programs": data}, text=lambda: _text(data))


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


def _text(programs: dict[str, list[dict[str, Any]]]) -> str:
    from k8sbuild.report.words import columns

    parts = [
        f"{name}: {len(rows)} modules\n{columns([(r['module'], r['version'], r['why']) for r in rows], indent='  ')}"
        for name, rows in programs.items()
    ]
    return "\n\n".join(parts) or "this target has no Go program"
