"""Texts of the reports that are not about a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .table import near
from .words import columns, size, titled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from k8sbuild.errors import BuildError
    from k8sbuild.history import Explained, Explanation
    from k8sbuild.kinds import Finding
    from k8sbuild.planning import PlanReport
    from k8sbuild.store.gc import GcReport

__all__ = ["collected", "explained", "failure", "findings", "modules", "plan", "plugins", "versions"]

_WORDS = {"reused": "reused", "runs": "will run", "depends": "may run", "skipped": "skipped"}


def plan(report: PlanReport) -> str:
    """Return each step: reused, will run and why, or what it depends on."""
    # The version is Kubernetes', whatever the target's own is.
    head = f"{report.target} for {report.platform}" + (f", with Kubernetes {report.k8s}" if report.k8s else "")
    rows = [(_WORDS[row.state], row.step, row.why) for row in report.rows]
    states: list[str] = [row.state for row in report.rows]
    counts = [f"{n} {word}" for state, word in _WORDS.items() if (n := states.count(state))]
    added = f"\nentries that a build adds to k8sbuild.lock: {report.unlocked} or more" if report.unlocked else ""
    return f"{head}\n\n{columns(rows, indent='  ')}\n\n{', '.join(counts) or 'nothing to do'}{added}"


def explained(report: Explained) -> str:
    """Return what became of a run and of its steps, why, and the components that differ."""
    against = f", against {report.against}" if report.against else ""
    head = [f"run {report.run}{against}: {_RUN_STATES.get(report.state, report.state)}"]
    if report.error and not any(step.error for step in report.steps):
        head += _reason(report.error)
    steps = [line for step in report.steps for line in _explanation(step)]
    return "\n".join([*head, *steps])


#: A run that says nothing at its end.
_RUN_STATES = {"unfinished": "unfinished: it was killed", "running": "it still runs"}
#: Characters of a value that are shown.
_WIDTH = 80


def _explanation(row: Explanation) -> list[str]:
    lines = [f"{row.step}: {row.state}" + (f": {row.why}" if row.why else "")]
    lines += _reason(row.error)
    changed = row.to_dict()["changed"]
    return lines + [f"    {name}: {_short(old)} -> {_short(new)}" for name, (old, new) in changed.items()]


def _reason(error: Mapping[str, Any]) -> list[str]:
    """Return why something failed, and the file that has more."""
    if not error:
        return []
    message = str(error.get("message", "")).replace("\n", "\n           ")
    lines = [f"    error: {message}" + (f" [{error['reason']}]" if "reason" in error else "")]
    return lines + ([f"    log:   {near(str(error['log']))}"] if error.get("log") else [])


def _short(value: str | None) -> str:
    text = "(none)" if value is None else value
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def modules(programs: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """Return each program's modules and why each has its version."""
    parts = [
        titled(f"{name}: {len(rows)} modules", [(row["module"], row["version"], row["why"]) for row in rows])
        for name, rows in programs.items()
    ]
    return "\n\n".join(part for part in parts if part) or "this target has no Go program"


#: Who else cleans a folder of the cache, or why nobody needs to.
_LEFT = {"gocache": "Go drops what it did not use for five days; --max-size limits it"}


def collected(report: GcReport, *, dry: bool) -> str:
    """Return what was removed, and the size of everything that the cache has still."""
    removed = "would be removed" if dry else "removed"
    rows = [(row.name, size(row.size), removed if row.removed else _LEFT.get(row.name, "")) for row in report.beside]
    stays = report.kept + sum(row.size for row in report.beside if not row.removed)
    verb = "would free" if dry else "freed"
    head = f"{verb} {size(report.freed)}, {len(report.trees)} trees of the store; {size(stays)} stay"
    return f"{head}\n\n{columns([('store', size(report.kept), ''), *rows], indent='  ')}"


def findings(rows: Iterable[Finding]) -> str:
    """Return what was looked at, and the fix of what is not fine."""
    return "\n".join(_finding(row) for row in rows)


def _finding(row: Finding) -> str:
    fix = f"\n     fix: {row.fix}" if row.fix and not row.ok else ""
    return f"{'ok ' if row.ok else 'BAD'}  {row.name}: {row.message}{fix}"


def plugins(data: Mapping[str, Any]) -> str:
    """Return plugins, targets, broken plugins and, where asked for, all options."""
    parts = [
        columns([(p["name"], p["version"], p["package"], ", ".join(p["targets"])) for p in data["plugins"]]),
        titled("targets", [(t["name"], t["help"]) for t in data["targets"]]),
        titled("broken", [(b["name"], b["message"], b["hint"]) for b in data["broken"]]),
        titled("options", [(o["key"], o["flag"], o["variable"], o["help"]) for o in data.get("options", ())]),
    ]
    return "\n\n".join(part for part in parts if part) or "no plugin is installed: nothing can be built"


def versions(data: Mapping[str, Any]) -> str:
    """Return versions of the tool and its plugins, those of a build, and what pins know."""
    go = data["go"]
    known = [("upstream", ", ".join(data["releases"])), ("Go", ", ".join(go["releases"]))]
    known += [(f"Go for {minor}", f"at least {release}") for minor, release in go["minors"].items()]
    parts = [
        columns([("k8sbuild", data["k8sbuild"]), *data["plugins"].items()]),
        titled("a build here uses", [(name, str(value) or "(not set)") for name, value in data["build"].items()]),
        titled("pinned", known),
    ]
    return "\n\n".join(part for part in parts if part)


def failure(error: BuildError) -> str:
    """Return what failed, where, what to try and which file has more."""
    lines = [f"error: {error.message} [{error.reason}]"]
    if error.step and error.step not in error.message:
        lines.append(f"step:  {error.step}")
    if error.hint:
        lines.append(f"hint:  {error.hint}")
    if error.log:
        lines.append(f"log:   {near(error.log)}")
    return "\n".join(lines)
