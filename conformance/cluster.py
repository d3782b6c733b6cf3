"""The node that the tests are run against, and the run itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.workspace import ROOT

from .report import LABEL, Outcome, images_of, outcomes

sys.path.append(str(ROOT / "tests"))
from e2e.command import k8sbuild
from e2e.machines import DATA, PROGRAMS, lan
from e2e.nodes import Node, unpacked, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Built", "Run", "build", "node", "run"]

#: Below the machine's data directory: what a run writes.
_RESULTS = "conformance"
#: Seconds in which all images are imported.
_IMPORT = 600.0
_DNS = ("get", "--namespace=kube-system", "--ignore-not-found", "deployment", "coredns")
_SEEN = "custom-columns=:.metadata.namespace,:.spec.containers[*].image,:.spec.initContainers[*].image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What the toolkit built: the folder of programs of a machine, the images, and of which Kubernetes they are."""

    programs: Path
    images: Path
    k8s: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Which tests are run, and how.

    Args:
        focus: regular expression of names; all where it is empty.
        procs: how many at a time; those that are to be alone come last.
        minutes: after which no more are begun.
    """

    focus: str = ""
    procs: int = 2
    minutes: int = 180


def build(folder: Path) -> Built:
    """Build node and tests into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    programs = unpacked(folder / "node")
    answer = k8sbuild("build", "--target=conformance", f"--out={folder / 'suite'}")
    made = folder / "suite" / "artifacts"
    for name in ("e2e.test", "ginkgo"):
        shutil.move(made / name, programs)
    # kubectl is what the program is when it is called so.
    (programs / "kubectl").symlink_to("k8s")
    (images,) = made.glob("conformance-images-*")
    return Built(programs=programs, images=images, k8s=str(answer["k8s"]))


@contextmanager
def node(folder: Path, built: Built) -> Iterator[Node]:
    """Give a node that is ready and has all images, for the time of a block."""
    shutil.rmtree(folder, ignore_errors=True)
    with lan(folder) as network:
        made = Node(machine=network.machine("node-1", "192.0.2.7", built.programs))
        for name in ("images", _RESULTS):
            (made.machine.data / name).mkdir()
        shutil.copy(built.images, made.machine.data / "images")
        made.start()
        until(lambda: _imported(made.log, built.images.name), "the images are imported", _IMPORT)
        until(lambda: "1/1" in made.kubectl(*_DNS), "DNS is there", _IMPORT)
        yield made
        made.stop()


def _imported(log: str, file: str) -> bool:
    said = next((line for line in log.splitlines() if file in line and "mages" in line), "")
    assert "not imported" not in said, said
    return bool(said)


def run(on: Node, chosen: Run) -> dict[str, Outcome]:
    """Run tests and return what became of each conformance test, those too that were not chosen.

    Raises:
        AssertionError: ginkgo has written no report.
    """
    folder = on.machine.data / _RESULTS
    report = folder / "report.json"
    with (folder / "pods.txt").open("wb") as seen, _watched(on, seen.fileno()):
        subprocess.run(on.machine.argv(*_words(chosen)), stdin=subprocess.DEVNULL)
    assert report.exists(), "the tests have ended without a report"
    rows = (folder / "pods.txt").read_text(encoding="utf-8").splitlines()
    found: list[Any] = json.loads(report.read_bytes())
    return outcomes(found, images_of(rows))


def _words(chosen: Run) -> list[str]:
    results = f"{DATA}/{_RESULTS}"
    return [
        f"{PROGRAMS}/ginkgo",
        f"--procs={chosen.procs}",
        f"--timeout={chosen.minutes}m",
        f"--label-filter={LABEL}",
        *([f"--focus={chosen.focus}"] if chosen.focus else []),
        "--no-color",
        "--json-report=report.json",
        f"--output-dir={results}",
        f"{PROGRAMS}/e2e.test",
        "--",
        f"--kubeconfig={DATA}/admin.kubeconfig",
        f"--kubectl-path={PROGRAMS}/kubectl",
        "--provider=skeleton",
        "--disable-log-dump",
        f"--report-dir={results}",
    ]


@contextmanager
def _watched(on: Node, out: int) -> Iterator[None]:
    """Write down the images of all pods that there are, for the time of a block."""
    kubectl = (on.program, "kubectl", f"--kubeconfig={DATA}/admin.kubeconfig")
    words = on.machine.argv(*kubectl, "get", "pods", "--all-namespaces", "--watch", "--no-headers", f"--output={_SEEN}")
    watch = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        watch.terminate()
        watch.wait()
