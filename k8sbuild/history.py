"""Runs on record: what each step's components were, and why it ran, was reused, failed or was stopped."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .config import find_project
from .engine import events
from .engine.plan import Past, difference
from .errors import UsageError, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from .engine.graph import Graph
    from .project import Prepared, Request

__all__ = ["Explained", "Explanation", "explain", "forget_old_runs", "header", "last_components"]

#: What became of a step, by the event that says so.
_STATES = {f"step-{word}": word for word in ("finished", "reused", "failed", "stopped", "skipped")}
#: How many runs are kept.
_KEPT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What became of a step and why: its components then and in the run that it is held against.

    Args:
        state: ``finished``, ``reused``, ``failed``, ``stopped`` (because another step failed, or by Ctrl-C),
            ``skipped``, ``unfinished`` (the run was killed, or still runs) or ``not-started``.
        error: of a failed step: ``reason``, ``message``, ``log`` and what else the error says.
    """

    step: str
    state: str
    why: str
    before: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, with the components that differ."""
        old, new = self.before, self.after
        names = sorted({*old, *new}) if old and new else ()
        changed = {n: [old.get(n), new.get(n)] for n in names if old.get(n) != new.get(n)}
        rest = {"error": dict(self.error)} if self.error else {}
        return {"step": self.step, "state": self.state, "why": self.why, "changed": changed, **rest}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A run, what became of it, and of its steps.

    Args:
        run: the run log's name.
        against: the run that it is held against; empty for the last ones before it of the same build.
        state: ``finished``, ``failed``, ``running`` or ``unfinished`` (killed).
        error: why it failed: ``reason``, ``message``, ``log``.
    """

    run: str
    against: str
    state: str
    steps: tuple[Explanation, ...]
    error: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        head = {"run": self.run, "against": self.against, "state": self.state, "error": dict(self.error)}
        return {**head, "steps": [step.to_dict() for step in self.steps]}


def explain(request: Request, *, step: str = "", run: str = "", against: str = "") -> Explained:
    """Say what became of each step of a run (by default the last that had such a step and is over) and why.

    Args:
        step: part of an address; all steps by default.
        run: part of a run log's name.
        against: the run to compare with, before or after; each step's last one before it by default.

    Raises:
        UsageError: ``no-run``; ``unknown-step``: the run, or every run, has no such step.
    """
    logs = events.runs(find_project(request.root).state / "runs")
    chosen = _having(step, [_log(logs, run)] if run or not logs else _over(logs))
    other = _log(logs, against) if against else None
    records = list(events.read(chosen))
    before = _steps(events.read(other)) if other else _before(logs, chosen, records)
    ends = [r for r in records if r["event"] in ("run-finished", "run-failed")]
    open_end = "running" if events.goes_on(chosen) else "unfinished"
    return Explained(
        run=chosen.stem,
        against=other.stem if other else "",
        state=ends[-1]["event"][4:] if ends else open_end,
        error=ends[-1].get("error", {}) if ends else {},
        steps=tuple(_explained(records, before, step, other is not None)),
    )


def _over(logs: list[Path]) -> list[Path]:
    """Return the logs of runs that have ended; where none has, all."""
    return [path for path in logs if not events.goes_on(path)] or logs


def _log(logs: list[Path], name: str) -> Path:
    """Return the newest log whose name has a part."""
    named = [path for path in logs if name in path.name]
    if not named:
        raise UsageError(
            f"no run {name!r} is on record" if name else "nothing has run here yet",
            reason="no-run",
            hint=", ".join(path.stem for path in logs[-5:]) or "k8sbuild build",
        )
    return named[-1]


def _having(part: str, logs: list[Path]) -> Path:
    """Return the newest log of a run whose plan has such a step: a shell's or a linter's has few."""
    known: dict[str, None] = {}
    for path in reversed(logs):
        names = _last_words(events.read(path))
        if not part or any(part in name for name in names):
            return path
        known |= dict.fromkeys(names)
    words = {word for name in known for word in (name, name.rpartition("/")[2], name.partition(":")[0])}
    where = f"run {logs[0].stem}" if len(logs) == 1 else "no run on record"
    raise UsageError(
        f"{where} has {'no' if len(logs) == 1 else 'a'} step {part!r}{suggest(part, words)}",
        reason="unknown-step",
        hint=", ".join(list(known)[:5]) or "k8sbuild explain",
    )


def _explained(
    records: Iterable[Mapping[str, Any]], before: Mapping[str, Past], part: str, named: bool
) -> Iterator[Explanation]:
    for name, found in _last_words(records).items():
        if part in name:
            past, after = before.get(name, Past()), found.get("components", {})
            yield Explanation(
                step=name,
                state=found["state"],
                why=_compared(past, after) if named else found.get("why") or _unnamed(found["state"], past, after),
                before=past.components,
                after=after,
                error=found.get("error", {}),
            )


def _last_words(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what a run says last about each step of its plan."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        match record["event"]:
            case "plan":
                found = {row["step"]: {"state": "not-started", "why": row["why"]} for row in record["steps"]}
            case "verify":
                break
            case "step-started":
                found[record["step"]] = {**record, "state": "unfinished"}
            case kind if kind in _STATES:
                found[record["step"]] = {**record, "state": _STATES[kind]}
    return found


def _compared(past: Past, after: Mapping[str, str]) -> str:
    """Say how a step differs from the one of a run that was named."""
    if not past.components or not after:
        return "in one of the two runs its components are not known"
    return _since(past, after)


def _unnamed(state: str, past: Past, after: Mapping[str, str]) -> str:
    """Say how a step differs from the last one; one that is reused may never have run in this project."""
    return _since(past, after) if past.components or state != "reused" else "an equal one is in the store"


def _since(past: Past, after: Mapping[str, str]) -> str:
    return "nothing changed" if past.components == after else difference(past.components, after)


def _before(logs: list[Path], chosen: Path, records: list[dict[str, Any]]) -> dict[str, Past]:
    head = next((record for record in records if record["event"] == "run-started"), {})
    return _newest(logs[: logs.index(chosen)], head, {r["step"] for r in records if "step" in r})


def last_components(prepared: Prepared, graph: Graph, run_id: str = "") -> dict[str, Past]:
    """Return what each step was in the newest run of the same target and platform that came to it.

    Args:
        run_id: the run that asks, which does not count.
    """
    logs = [path for path in events.runs(prepared.setup.project.state / "runs") if path.stem != run_id]
    return _newest(logs, header(prepared), {node.name for node in graph.nodes.values() if not node.note})


def _newest(logs: list[Path], like: Mapping[str, Any], names: set[str]) -> dict[str, Past]:
    found: dict[str, Past] = {}
    for path in reversed(logs):
        first = next(iter(events.read(path)), {})
        same = all(first.get(name) == like.get(name) for name in ("target", "platform"))
        if same and first.get("purpose", "build") == like.get("purpose", "build"):
            found = {**_steps(events.read(path)), **found}
        if names <= found.keys():
            break
    return found


def _steps(records: Iterable[Mapping[str, Any]]) -> dict[str, Past]:
    words = _last_words(records)
    return {
        name: Past(components=found["components"], state=found["state"])
        for name, found in words.items()
        if found.get("components")
    }


def header(prepared: Prepared) -> dict[str, str]:
    """Return what names a build: target, Kubernetes version, platform."""
    build = prepared.build
    return {"target": build.target, "k8s": build.k8s, "platform": str(build.platform)}


def forget_old_runs(state: Path) -> None:
    """Remove all but the newest run logs, and the logs of their commands."""
    for path in events.runs(state / "runs")[:-_KEPT]:
        path.unlink(missing_ok=True)
        shutil.rmtree(state / "logs" / path.stem, ignore_errors=True)
