"""The file of results: what became of each test when it was last run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .report import NOT_RUN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .report import Outcome

__all__ = ["merged", "read", "write"]

_SCHEMA = "k8sbuild/conformance/1"


def read(path: Path) -> dict[str, Any]:
    """Return the results so far; none where there is no file."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"tests": {}}
    return found


def merged(old: Mapping[str, Any], found: Mapping[str, Outcome], today: str, **facts: Any) -> dict[str, Any]:
    """Return results with what a run found: a test that was not run keeps what it had.

    Args:
        old: results of earlier runs.
        found: of all tests that there are.
        today: date of the run.
        facts: of the run, in place of those of the last one.
    """
    tests = {}
    for name, outcome in sorted(found.items()):
        kept = old["tests"].get(name, {"state": NOT_RUN})
        tests[name] = kept if outcome.state == NOT_RUN else {**outcome.to_dict(), "date": today}
    return {"schema": _SCHEMA, **facts, "tests": tests}


def write(path: Path, results: Mapping[str, Any], page: str) -> None:
    """Write the file, and the page made from it beside it."""
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page, encoding="utf-8")
