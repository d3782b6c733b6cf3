"""What a build would run: the part of its graph that is wanted, and the plan of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .config import find_project
from .engine.plan import Decision
from .engine.plan import plan as make_plan
from .history import header, last_components
from .kinds import STAGES, Stage
from .project import Prepared, Request, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .engine.graph import Graph

__all__ = ["PlanReport", "not_locked", "plan", "wanted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """What a build would do.

    Args:
        unlocked: how many entries the lock lacks, as far as is known before anything is fetched.
    """

    target: str
    k8s: str
    platform: str
    rows: tuple[Decision, ...]
    unlocked: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        rows = [row.to_dict() for row in self.rows]
        head = {"target": self.target, "k8s": self.k8s, "platform": self.platform, "unlocked": self.unlocked}
        return {**head, "steps": rows}


def plan(request: Request, *, until: Stage | None = None) -> PlanReport:
    """Say what a build would do, without doing it: the lock's file stays as it is."""
    prepared = prepare(request, log=find_project(request.root).state / "logs" / "plan.log", keep_lock=False)
    graph = wanted(prepared, until)
    rows = make_plan(graph, prepared.store, last_components(prepared, graph))
    unlocked = prepared.lock.added + len(not_locked(graph))
    return PlanReport(**header(prepared), rows=tuple(rows), unlocked=unlocked)


def not_locked(graph: Graph) -> list[str]:
    """Return the steps that fetch what the lock does not have."""
    return [n.name for n in graph.nodes.values() if n.pinned is not None and n.pinned() is None]


def wanted(prepared: Prepared, until: Stage | None) -> Graph:
    """Return the part of the graph that the artifacts and the checks reach, up to a stage."""
    graph = prepared.graph.wanted([*prepared.artifacts.values(), *_checks(prepared)])
    if until is None:
        return graph
    rank, own = STAGES.index(until), prepared.build.target
    return graph.wanted(n.name for n in graph.nodes.values() if n.target == own and n.address.rank <= rank)


def _checks(prepared: Prepared) -> Iterator[str]:
    base = prepared.setup
    for node in prepared.graph.nodes.values() if not base.flag("skip-validate") else ():
        if node.address.stage == "validate" and not (base.flag("fast") and node.live):
            yield node.name
