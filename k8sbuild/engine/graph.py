"""The graph of a build: nodes with static key components, and edges by address."""

from __future__ import annotations

from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from k8sbuild.errors import PlanError

from .address import Address, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from k8sbuild.kinds import Source, Step

    from .local import Files
    from .parts import GoParts

__all__ = ["Graph", "Node", "connect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A step of one build.

    Args:
        address: where its output is.
        kind: name and revision of what it was lowered from, ``GoBinary@1``.
        step: the primitive; its ``Collect``s are filled in.
        inputs: parsed addresses of its inputs, in order.
        local: files of plugins and of the project that it reads, by name.
        components: the static part of the key.
        pinned: for fetch steps: what the lock says its content is; ``None`` when it does not know.
        note: shown in plans (for a check: why it is skipped).
        target: the one that the step belongs to.
        live: a check that starts processes.
        source: what a fetch step fetches.
        go: what the code of each Go module among its inputs is compiled with, by the module's address.
    """

    address: Address
    kind: str
    step: Step
    inputs: tuple[Address, ...] = ()
    local: Mapping[str, Files] = field(default_factory=dict)
    components: Mapping[str, str] = field(default_factory=dict)
    pinned: Callable[[], str | None] | None = None
    note: str = ""
    target: str = ""
    live: bool = False
    source: Source | None = None
    go: Mapping[str, GoParts] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The step's address as text."""
        return self.address.step

    @property
    def made_of(self) -> str:
        """The kind's name, without its revision."""
        return self.kind.partition("@")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes by address, in an order in which each comes after its inputs."""

    nodes: Mapping[str, Node]

    def wanted(self, addresses: Iterable[str]) -> Graph:
        """Return the part that the given addresses reach."""
        keep: set[str] = set()
        queue = [parse(a, self.nodes).step for a in addresses]
        while queue:
            name = queue.pop()
            if name not in keep:
                keep.add(name)
                queue += [a.step for a in self.nodes[name].inputs]
        return Graph(nodes={name: node for name, node in self.nodes.items() if name in keep})


def connect(nodes: Iterable[Node]) -> Graph:
    """Check edges and return the graph.

    Raises:
        PlanError: ``duplicate-step``, ``unknown-address``, ``stage-order``, ``dependency-cycle``.
    """
    by_name: dict[str, Node] = {}
    for node in nodes:
        _refuse_twin(by_name.setdefault(node.name, node), node)
    for node in by_name.values():
        for address in node.inputs:
            parse(str(address), by_name)
            if address.rank > node.address.rank and by_name[address.step].target == node.target:
                raise PlanError(f"{node.name} needs {address}, which is of a later stage", reason="stage-order")
    order = TopologicalSorter({n: sorted({a.step for a in node.inputs}) for n, node in by_name.items()})
    try:
        return Graph(nodes={name: by_name[name] for name in order.static_order()})
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise PlanError(f"steps depend on each other: {circle}", reason="dependency-cycle") from error


def _refuse_twin(first: Node, node: Node) -> None:
    """Two steps have one address only where two targets share what is the same (a source, a toolchain)."""
    if first is node:
        return
    if first.target == node.target:
        raise PlanError(f"two steps have the address {node.name}", reason="duplicate-step")
    if (first.step, first.inputs, first.local) != (node.step, node.inputs, node.local):
        raise PlanError(
            f"the targets {first.target} and {node.target} both have the step {node.name}, each its own",
            reason="duplicate-step",
            hint="the plugin must give it another name in one of them",
        )
