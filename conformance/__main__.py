"""``python -m conformance [FOCUS]``: runs tests, writes docs/conformance.json and the page made from it."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine import facts, versions
from bench.workspace import ROOT
from k8sbuild.store.locks import lock

from . import cluster, known, page, results

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = ROOT / "docs" / "conformance.json"
#: Stays for those who look into what happened.
FOLDER = Path(tempfile.gettempdir(), "k8sbuild-conformance")


def main(argv: Sequence[str]) -> int:
    """Run tests; the exit code says whether each did what is known of it."""
    chosen = _arguments(argv)
    listed = known.read(known.FILE.read_text(encoding="utf-8").splitlines())
    # So that the machine ends with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    FOLDER.mkdir(exist_ok=True)
    began = facts()
    with lock(FOLDER / "lock", "a run of the conformance tests"):
        built = cluster.build(FOLDER / "built")
        with cluster.node(FOLDER / "machines", built) as node:
            found = cluster.run(node, chosen)
    command = " ".join(["nox -s conformance", *(["--", chosen.focus] if chosen.focus else [])])
    run = {"command": command, "k8s": built.k8s, "machine": began, "versions": versions(ROOT)}
    made = results.merged(results.read(RESULTS), found, time.strftime("%Y-%m-%d"), **run)
    results.write(RESULTS, made, page.render(made, listed))
    wrong = list(known.problems(found, listed))
    print("\n".join([*wrong, page.said(made["tests"])]))
    return 1 if wrong else 0


def _arguments(argv: Sequence[str]) -> cluster.Run:
    parser = argparse.ArgumentParser(prog="nox -s conformance --", description="Run upstream's conformance tests.")
    parser.add_argument(
        "focus", nargs="?", default="", metavar="FOCUS", help="tests whose name matches; all by default"
    )
    parser.add_argument("--procs", type=int, default=2, help="tests at a time (default: 2)")
    parser.add_argument("--minutes", type=int, default=180, help="after which no more are begun (default: 180)")
    given = parser.parse_args(argv)
    return cluster.Run(focus=given.focus, procs=given.procs, minutes=given.minutes)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
