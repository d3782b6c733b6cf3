"""The plan: for each step, reused, will run and why, or depends on a step that runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .keys import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k8sbuild.store.result import Result
    from k8sbuild.store.store import Store
    from k8sbuild.store.tree import Tree

    from .graph import Graph, Node

__all__ = ["Decision", "Past", "components_of", "decide", "difference", "plan"]

State = Literal["reused", "runs", "depends", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a step was in an earlier run: its components, and what became of it (``finished``, ``failed``, …)."""

    components: Mapping[str, str] = field(default_factory=dict)
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens to a step and why.

    Args:
        components: of its key, where they are known already.
        result: there when it is reused.
    """

    step: str
    state: State
    why: str = ""
    key: str = ""
    components: Mapping[str, str] = field(default_factory=dict)
    result: Result | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"step": self.step, "state": self.state, "why": self.why, "key": self.key}


def plan(graph: Graph, store: Store, last: Mapping[str, Past], *, fresh: bool = False) -> list[Decision]:
    """Walk the graph; exact as long as results are in the store.

    Args:
        last: what each step was the last time, to say what changed.
        fresh: nothing is reused (``--verify``'s second build).
    """
    decisions: dict[str, Decision] = {}
    for name, node in graph.nodes.items():
        decisions[name] = decide(node, decisions, store, last.get(name, Past()), fresh=fresh)
    return list(decisions.values())


def decide(node: Node, before: Mapping[str, Decision], store: Store, last: Past, *, fresh: bool = False) -> Decision:
    """Decide about one step, given the decisions about its inputs."""
    if node.note:
        return Decision(step=node.name, state="skipped", why=node.note)
    for address in node.inputs:
        decision = before[address.step]
        if decision.result is None:
            state: State = "skipped" if decision.state == "skipped" else "depends"
            return Decision(step=node.name, state=state, why=f"depends on {address.step}")
    trees = {a.step: before[a.step].result for a in node.inputs}
    components = components_of(node, {n: r.tree for n, r in trees.items() if r}, store)
    if components is None:
        return Decision(step=node.name, state="runs", why="not in the lock yet")
    key = key_of(components)
    if not node.step.reuse or (fresh and node.pinned is None):
        why = "runs every time" if not fresh else "second build"
        return Decision(step=node.name, state="runs", why=why, key=key, components=components)
    result = store.get_result(key)
    if result is not None:
        return Decision(step=node.name, state="reused", key=key, components=components, result=result)
    return Decision(step=node.name, state="runs", why=_why(last, components), key=key, components=components)


def _why(last: Past, components: Mapping[str, str]) -> str:
    if last.components == components and last.state in ("failed", "stopped"):
        return f"{last.state} last time"
    return difference(last.components, components)


def components_of(node: Node, inputs: Mapping[str, str], store: Store) -> dict[str, str] | None:
    """Return the named components of a step's key, ``None`` for a fetch that the lock does not know.

    Args:
        inputs: tree digest by step.
    """
    if node.pinned is not None:
        pinned = node.pinned()
        return None if pinned is None else {**node.components, "content": pinned}
    parts = dict(node.components)
    for address in node.inputs:
        parts[f"input:{address}"] = _digest(store, inputs[address.step], address.path)
    return parts


def _digest(store: Store, digest: str, path: str) -> str:
    """Return the digest of the part of an output that is used: other files of it may change freely."""
    if not path:
        return digest
    tree: Tree = store.load(digest)
    entry = tree.entries.get(path)
    try:
        return f"sha256:{entry.digest}:{entry.mode:o}" if entry else tree.subtree(path).digest
    except KeyError:
        return "missing"


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Say by name what differs between two sets of components.

    >>> difference({"param:tags": "[]"}, {"param:tags": '["x"]'})
    'param:tags changed'
    """
    if not old:
        return "never ran here"
    changed = [n for n in sorted({*old, *new}) if n in old and n in new and old[n] != new[n]]
    words = [f"{n} changed" for n in changed]
    words += [f"{n} is new" for n in sorted(new) if n not in old]
    words += [f"{n} is gone" for n in sorted(old) if n not in new]
    shown = ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")
    return shown or "its result is not in the store"
