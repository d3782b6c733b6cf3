"""Finds every error reason in the code, so that the reference can be held to it.

A reason is a kebab-case string that reaches ``BuildError(reason=…)``. It is written as that
keyword, as a positional argument of a function with a parameter ``reason``, as a value assigned
to a variable ``reason``, in a table ``*_REASONS``, or returned by ``reason_of`` or ``refusal``.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def code() -> list[Path]:
    """Return the library's and the first-party plugins' files."""
    plugins = ROOT.glob("plugins/*/k8sbuild_*/**/*.py")
    return sorted(p for p in [*(ROOT / "k8sbuild").rglob("*.py"), *plugins] if "testing" not in p.parts)


def scan(files: list[Path] | None = None) -> dict[str, set[str]]:
    """Return the module names by reason."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files or code()}
    own = {path: _takers(tree) for path, tree in trees.items()}
    public = {name: at for found in own.values() for name, at in found.items() if not name.startswith("_")}
    found: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees.items():
        takers = {**public, **own[path]}
        for node in ast.walk(tree):
            for reason in _reasons(node, takers):
                found[reason].add(_module(path))
    return dict(found)


def _module(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[2:] if parts[0] == "plugins" else parts).removesuffix(".__init__")


def _takers(tree: ast.Module) -> dict[str, int]:
    """Return functions with a parameter ``reason``, and its position as callers see it."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.args if argument.arg != "self"]
            if "reason" in names:
                found[node.name] = names.index("reason")
    return found


def _reasons(node: ast.AST, takers: dict[str, int]) -> Iterator[str]:
    match node:
        case ast.Call():
            yield from _of_call(node, takers)
        case ast.Assign(targets=[target], value=value):
            yield from _of_assignment(target, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from _of_assignment(target, value)
        case ast.FunctionDef(name="reason_of" | "refusal"):
            returned = [part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value]
            yield from (text for value in returned for text in _texts(_result(value)))


def _of_call(node: ast.Call, takers: dict[str, int]) -> Iterator[str]:
    for keyword in node.keywords:
        if keyword.arg == "reason":
            yield from _texts(keyword.value)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    at = takers.get(name)
    if at is not None and at < len(node.args):
        yield from _texts(node.args[at])


def _of_assignment(target: ast.expr, value: ast.expr) -> Iterator[str]:
    names = [target] if not isinstance(target, ast.Tuple) else target.elts
    first = getattr(names[0], "id", "")
    if first.upper().endswith("_REASONS") and isinstance(value, ast.Tuple):
        yield from (text for row in value.elts if isinstance(row, ast.Tuple) for text in _texts(row.elts[0]))
    elif first == "reason":
        parts = value.elts[:1] if isinstance(value, ast.Tuple) else [value]
        yield from (text for part in parts for text in _texts(_result(part)))


def _result(value: ast.expr) -> ast.expr:
    """Return the first item of the default in ``next(found, (reason, …))``, else the value itself."""
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "next":
        value = value.args[1]
    return value.elts[0] if isinstance(value, ast.Tuple) else value


def _texts(node: ast.AST) -> Iterator[str]:
    """Yield the strings that an expression can be; conditions are passed over."""
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _KEBAB.fullmatch(node.value):
        yield node.value
