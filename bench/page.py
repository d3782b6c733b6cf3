"""The page of the documentation, made from the results file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .line import Line

__all__ = ["render"]

_HEAD = """# Benchmarks

<!-- Made by `nox -s bench` from benchmarks.json; do not edit. -->

`nox -s bench` measures these numbers in one run on one machine, mostly as ratios against what somebody would do without
`k8sbuild`. `nox -s bench -- noop memory` measures some lines anew; the others keep theirs, each with its date. What is
alternated is run by turns, so that a change of the machine's load meets both sides. Numbers are medians; the range and
the number of rounds are beside them.
"""


def render(results: Mapping[str, Any], lines: Sequence[Line]) -> str:
    """Return the page's text."""
    known = [(line, results["lines"][line.name]) for line in lines if line.name in results["lines"]]
    cores = results["machine"]["cores"]
    parts = [_HEAD, _machine(results), "| what | target | measured | met |\n| --- | --- | --- | --- |"]
    for line, row in known:
        parts.append(f"| [{line.what}](#{line.name}) | {line.target} | {row['measured']} | {verdict(row)} |")
    return "\n".join([*parts, "", *(_section(line, row, cores) for line, row in known)])


def verdict(row: Mapping[str, Any]) -> str:
    """Return one word for a line's outcome.

    >>> verdict({"met": True}), verdict({"met": False}), verdict({"met": None})
    ('yes', '**missed**', '**not measured**')
    """
    return {True: "yes", False: "**missed**", None: "**not measured**"}[row["met"]]


def _machine(results: Mapping[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    return (
        f"{machine['cores']} cores ({machine['processor']}, {machine['architecture']}), {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}, load {machine['load_at_start']} when the run began. "
        f"k8sbuild {versions['k8sbuild']} at {versions['commit']}, Python {versions['python']}. "
        f"Command: `{results['command']}`.\n"
    )


def _section(line: Line, row: Mapping[str, Any], cores: int) -> str:
    load = row.get("load")
    when = f"{row['date']}, load of the machine before it {load if load is not None else 'not noted'}"
    parts = [f"({line.name})=\n## {line.name}\n", f"{line.how}\n", f"{row['measured']} ({when}).\n"]
    if load is None or load > cores:
        parts.append("**The machine was busy with other work: wall times say little here.**\n")
    parts += [f"{note}\n" for note in row["notes"]]
    if row["samples"] or row["facts"]:
        parts.append("| | |\n| --- | --- |")
        parts += [f"| {name} | {', '.join(f'{v:g}' for v in values)} |" for name, values in row["samples"].items()]
        parts += [f"| {name} | {_shown(value)} |" for name, value in row["facts"].items()]
        parts.append("")
    return "\n".join(parts)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return str(value)
