"""Fills in what a node collects from the others, and the static part of its key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k8sbuild.engine import code, local
from k8sbuild.engine.address import parse
from k8sbuild.engine.keys import as_data, literal
from k8sbuild.errors import PlanError
from k8sbuild.kinds import Collect, Step

from .programs import module_address, trees_of
from .sources import go_parts

if TYPE_CHECKING:
    from k8sbuild.engine.graph import Node

    from .resolved import Resolved

__all__ = ["filled_in"]


def filled_in(item: Node, nodes: list[Node], r: Resolved) -> Node:
    """Fill in collections, parse inputs, and compute the static part of the key."""
    inputs: list[str] = []
    for given in item.step.inputs:
        inputs += _collected(given, nodes, r) if isinstance(given, Collect) else [given]
    params = {n: r.contributions.collect(v) if isinstance(v, Collect) else v for n, v in item.step.params.items()}
    step = replace(item.step, inputs=tuple(dict.fromkeys(inputs)), params=params)
    addresses = tuple(parse(text) for text in dict.fromkeys(inputs))
    modules = {module_address(r, p): p for p in r.programs.values()}
    go = {a.step: go_parts(r, modules[a.step], trees_of(r, modules[a.step])) for a in addresses if a.step in modules}
    components = _components(item, step)
    return replace(
        item, step=step, inputs=addresses, components=components, target=r.build.target, go={**item.go, **go}
    )


def _collected(wanted: Collect, nodes: list[Node], r: Resolved) -> list[str]:
    labelled = {(row[0], row[1]) for row in r.contributions.collect(wanted)} if wanted.label else None
    return [
        n.name
        for n in nodes
        if n.made_of == wanted.kind and (labelled is None or (n.address.plugin, n.address.name) in labelled)
    ]


def _components(item: Node, step: Step) -> dict[str, str]:
    parts = {"kind": item.kind}
    if item.pinned is not None:
        return parts | {"name": item.name}
    parts |= {"run": step.run, "outputs": literal(list(step.outputs))}
    for name, value in step.params.items():
        parts |= _param(f"param:{name}", as_data(value))
    parts |= {f"env:{name}": value for name, value in step.env.items()}
    parts |= {f"secret:{name}": "" for name in step.secrets}
    for name, files in item.local.items():
        parts |= local.components(name, files)
    if not step.run.startswith("k8sbuild."):
        parts["code"] = _code(item, step.run)
    return parts


def _param(name: str, data: Any) -> dict[str, str]:
    """Return a parameter's components: of a list whose rows all have a name (``part``) one a row, and the order."""
    listed = data if isinstance(data, list) else ()
    rows = {row["part"]: row for row in listed if isinstance(row, dict) and isinstance(row.get("part"), str)}
    if not rows or len(rows) != len(listed):
        return {name: literal(data)}
    return {name: literal(list(rows)), **{f"{name}/{part}": literal(row) for part, row in rows.items()}}


def _code(item: Node, run: str) -> str:
    try:
        return code.digest_of(run)
    except ImportError as error:
        raise PlanError(f"{item.name}: cannot import {run!r}: {error}", reason="bad-run-function") from error
