"""``python -m bench [NAMES]``: measures lines, writes docs/benchmarks.json and the page made from it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from k8sbuild.store.locks import lock

from . import page
from .lines import LINES
from .machine import facts, versions
from .workspace import ROOT, TRASH, open_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .line import Line
    from .workspace import Workspace

RESULTS = ROOT / "docs" / "benchmarks.json"


def main(argv: Sequence[str]) -> int:
    """Measure; the exit code says whether everything could be run, not whether targets are met."""
    given = _arguments(argv)
    chosen = [line for line in LINES if not given.names or line.name in given.names]
    results = _old(RESULTS) if given.names else {"lines": {}}
    command = " ".join(["nox -s bench", *(["--", *given.names] if given.names else [])])
    results |= {"schema": "k8sbuild/bench/1", "command": command, "machine": facts(), "versions": versions(ROOT)}
    # So that servers and builds end with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    workspace = open_workspace(given.rounds)
    with lock(workspace.root / "lock", "a run of the benchmarks"):
        failed = [line.name for line in chosen if not _measure(line, workspace, results)]
        shutil.rmtree(workspace.root / TRASH, ignore_errors=True)
    for line in chosen:
        row = results["lines"].get(line.name, {"measured": "failed", "met": None})
        print(f"{page.verdict(row):16} {line.name:20} {row['measured']} (target: {line.target})")
    return 1 if failed else 0


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s bench --", description="Measure the project's numbers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="lines to measure: all by default")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of short measurements (default: 5)")
    given = parser.parse_args(argv)
    if unknown := set(given.names) - {line.name for line in LINES}:
        parser.error(f"no line {', '.join(sorted(unknown))}; there are: {', '.join(line.name for line in LINES)}")
    return given


def _old(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"lines": {}}
    return found


def _measure(line: Line, workspace: Workspace, results: dict[str, Any]) -> bool:
    """Measure a line and write everything down at once: a run of an hour may end early."""
    workspace.say(f"{line.name}: {line.what}")
    load = round(os.getloadavg()[0], 1)
    try:
        outcome = line.measure(workspace)
    except Exception as error:  # noqa: BLE001 - the other lines are measured all the same
        workspace.say(f"FAILED {line.name}: {type(error).__name__}: {error}")
        results["lines"].pop(line.name, None)
        return False
    results["lines"][line.name] = {"date": time.strftime("%Y-%m-%d"), "load": load, **outcome.to_dict()}
    if outcome.met is not True:
        workspace.say(f"MISSED {line.name}: {outcome.measured}, target {line.target}")
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    RESULTS.with_suffix(".md").write_text(page.render(results, LINES), encoding="utf-8")
    return True


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
