"""Texts of the reports that are not about a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .table import near
from .words import columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from k8sbuild.api import Explanation, PlanReport
    from k8sbuild.errors import BuildError
    from k8sbuild.kinds import Finding

__all__ = ["explanations", "failure", "findings", "plan", "plugins", "versions"]

_WORDS = {"reused": "reused", "runs": "will run", "depends": "may run", "skipped": "skipped"}


def plan(report: PlanReport) -> str:
    """Return each step: reused, will run and why, or what it depends on."""
    head = f"{report.target} {report.k8s} {report.platform}"
    rows = [(_WORDS[row.state], row.step, row.why) for row in report.rows]
    states: list[str] = [row.state for row in report.rows]
    counts = [f"{n} {word}" for state, word in _WORDS.items() if (n := states.count(state))]
    return f"{head}\n\n{columns(rows, indent='  ')}\n\n{', '.join(counts) or 'nothing to do'}"


def explanations(rows: Iterable[Explanation]) -> str:
    """Return why each step ran, with the components that differ."""
    return "\n".join(_explanation(row) for row in rows) or "no such step in this run; see `k8sbuild explain`"


def _explanation(row: Explanation) -> str:
    changed = row.to_dict()["changed"] if row.before else {}
    lines = [f"{row.step}: {row.state}: {row.why}"]
    lines += [f"    {name}: {_short(old)} -> {_short(new)}" for name, (old, new) in changed.items()]
    return "\n".join(lines)


def _short(value: str | None, width: int = 80) -> str:
    text = "(none)" if value is None else value
    return text if len(text) <= width else text[: width - 1] + "…"


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
        _titled("targets", [(t["name"], t["help"]) for t in data["targets"]]),
        _titled("broken", [(b["name"], b["message"], b["hint"]) for b in data["broken"]]),
        _titled("options", [(o["key"], o["flag"], o["variable"], o["help"]) for o in data.get("options", ())]),
    ]
    return "\n\n".join(part for part in parts if part) or "no plugin is installed; pip install k8sbuild-single-binary"


def versions(data: Mapping[str, Any]) -> str:
    """Return versions of the tool and its plugins, those of a build, and what pins know."""
    go = data["go"]
    known = [("upstream", ", ".join(data["releases"])), ("Go", ", ".join(go["releases"]))]
    known += [(f"Go for {minor}", release) for minor, release in go["minors"].items()]
    parts = [
        columns([("k8sbuild", data["k8sbuild"]), *data["plugins"].items()]),
        _titled("a build here uses", [(name, str(value) or "(not set)") for name, value in data["build"].items()]),
        _titled("pinned", known),
    ]
    return "\n\n".join(part for part in parts if part)


def _titled(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    return f"{title}\n{columns(rows, indent='  ')}" if rows else ""


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
