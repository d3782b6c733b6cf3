"""The page of the documentation, made from the results and from what is known of those that do not pass."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from k8sbuild_conformance.images import DIFFERENCES, images

from .known import REASONS
from .report import NOT_RUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .known import Known

__all__ = ["render", "said"]

_HEAD = """# Conformance

<!-- Made by `nox -s conformance` from conformance.json and known.csv; do not edit. -->

Upstream's own tests say what is Kubernetes: those that carry `[Conformance]`. `nox -s conformance` builds them with the
target `conformance`, and runs them against one node that `invoke build --node` made. There is no registry: the images
are of the same target. `nox -s conformance -- FOCUS` runs the tests whose name matches a regular expression; the
others keep their results, each with its date. The session fails when a test fails that is not listed below with its
cause, or passes though it is.
"""
_STATES = ("passed", "failed", "skipped", NOT_RUN)


def render(results: Mapping[str, Any], known: Mapping[str, Known]) -> str:
    """Return the page's text."""
    tests: Mapping[str, Mapping[str, Any]] = results["tests"]
    sections = (_summary(results), _groups(tests), _missed(tests, known), _images(tests), _all(tests))
    return "\n".join([_HEAD, *("\n".join(section) + "\n" for section in sections)])


def said(tests: Mapping[str, Mapping[str, Any]]) -> str:
    """Return how many tests are in which state.

    >>> said({"a": {"state": "failed"}, "b": {"state": "passed"}, "c": {"state": "passed"}})
    '2 passed, 1 failed'
    """
    counts = Counter(row["state"] for row in tests.values())
    return ", ".join(f"{counts[state]} {state}" for state in _STATES if counts[state])


def _summary(results: Mapping[str, Any]) -> Iterator[str]:
    machine, versions = results["machine"], results["versions"]
    yield f"Kubernetes {results['k8s']}, {len(results['tests'])} tests: **{said(results['tests'])}**.\n"
    size = f"{machine['cores']} cores ({machine['architecture']}), {machine['memory_gib']} GiB"
    system = f"Linux {machine['kernel']}, load {machine['load_at_start']} at the start"
    yield f"{size}, {system}; k8sbuild {versions['k8sbuild']} at {versions['commit']}. Command: `{results['command']}`."


def _groups(tests: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield from _table("group", *_STATES)
    for group, rows in _by_group(tests).items():
        counts = Counter(row["state"] for row in rows.values())
        yield _row(group, *(counts[state] or "" for state in _STATES))


def _by_group(tests: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name in sorted(tests):
        found.setdefault(_group(name), {})[name] = tests[name]
    return found


def _group(name: str) -> str:
    """Return which group of Kubernetes' people a test is of.

    >>> _group("[sig-apps] Job should run"), _group("other")
    ('sig-apps', '')
    """
    first, bracket, _ = name.removeprefix("[").partition("]")
    return first if bracket else ""


def _missed(tests: Mapping[str, Mapping[str, Any]], known: Mapping[str, Known]) -> Iterator[str]:
    yield "## Not passed\n"
    rows = {name: row for name, row in sorted(tests.items()) if row["state"] in ("failed", "skipped")}
    for reason, told in REASONS.items():
        chosen = {name: known[name].cause for name in rows if name in known and known[name].reason == reason}
        yield from _listed(f"{told[0].upper()}{told[1:]}", chosen)
    yield from _listed(
        "Cause not found yet", {name: row.get("said", "") for name, row in rows.items() if name not in known}
    )


def _listed(title: str, rows: Mapping[str, str]) -> Iterator[str]:
    if rows:
        yield f"{title} ({len(rows)}):\n"
        yield from _table("test", "why")
        yield from (_row(name, cause) for name, cause in rows.items())
        yield ""


def _images(tests: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    counts = Counter(image for row in tests.values() for image in row.get("images", ()))
    made = sorted(image.reference for image in images())
    yield "## Images\n"
    yield "Each is made from upstream's sources, and from Debian's packages where upstream has others.\n"
    yield from _table("image", "tests", "differs from upstream's")
    yield from (_row(f"`{image}`", counts[image], DIFFERENCES.get(image, "")) for image in made)


def _all(tests: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "## Tests\n"
    yield "With an image that differs from upstream's in what it runs, a test is marked by *.\n"
    for group, rows in _by_group(tests).items():
        yield f"### {group}\n"
        yield from _table("test", "result", "seconds", "date")
        for name, row in rows.items():
            short = name.removeprefix(f"[{group}] ")
            yield _row(short, row["state"] + _mark(row), row.get("seconds", ""), row.get("date", ""))
        yield ""


def _mark(row: Mapping[str, Any]) -> str:
    return " *" if any(image in DIFFERENCES for image in row.get("images", ())) else ""


def _table(*titles: str) -> Iterable[str]:
    return (_row(*titles), _row(*("---" for _ in titles)))


def _row(*cells: object) -> str:
    """Return a row of a table.

    >>> _row("a|b", 1)
    '| a\\\\|b | 1 |'
    """
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"
