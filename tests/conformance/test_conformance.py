"""The pure parts of the conformance session; the tests themselves are `nox -s conformance`."""

from __future__ import annotations

import doctest
import json
import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from k8sbuild_conformance.images import DIFFERENCES, images

from conformance import known, page, results
from conformance.known import Known
from conformance.report import NOT_RUN, Outcome, outcomes

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs/conformance.json"
PASSES, CUT, OTHER = "[sig-a] Pods should run [Conformance]", "[sig-a] Pods should be cut [Conformance]", "[sig-b] x"


def spec(name: str, state: str, *, message: str = "", steps: tuple[str, ...] = (), **rest: Any) -> dict[str, Any]:
    group, _, text = name.partition(" ")
    failure = {"Failure": {"Message": message}} if message else {}
    said = {"SpecEvents": [{"Message": step} for step in steps]} if steps else {}
    labels = {"ContainerHierarchyLabels": [None, ["sig-a"]], "LeafNodeLabels": ["Conformance"]}
    kind = {"LeafNodeType": "It", "State": state, "RunTime": 1_260_000_000}
    return {"ContainerHierarchyTexts": [group], "LeafNodeText": text, **kind, **labels, **failure, **said, **rest}


def report(*specs: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"SuitePath": "e2e.test", "SpecReports": list(specs)}]


@pytest.mark.parametrize("name", ["known", "page", "report", "results"])
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(import_module(f"conformance.{name}")).failed == 0


def test_a_test_has_the_images_of_its_namespaces() -> None:
    steps = ("Creating a pod", *(f'Destroying namespace "pods-{number}" for this suite.' for number in (1, 2)))
    images_by = {"pods-1": {"r/b:1"}, "pods-2": {"r/a:1", "r/b:1"}, "pods-3": {"r/c:1"}}
    found = outcomes(report(spec(PASSES, "passed", steps=steps)), images_by)
    assert found == {PASSES: Outcome(state="passed", seconds=1.3, images=("r/a:1", "r/b:1"))}


def test_what_is_no_conformance_test_is_left_out() -> None:
    steps = spec("", "passed", LeafNodeType="SynchronizedBeforeSuite")
    rest = spec("[sig-a] other", "failed", message="no", LeafNodeLabels=None, ContainerHierarchyLabels=None)
    inherited = spec(PASSES, "passed", LeafNodeLabels=None, ContainerHierarchyLabels=[["Conformance"]])
    assert list(outcomes(report(steps, rest, inherited), {})) == [PASSES]


def test_of_a_failure_the_first_line_is_kept() -> None:
    (found,) = outcomes(report(spec(PASSES, "failed", message="\nwaited too long\nmore")), {}).values()
    assert (found.state, found.said) == ("failed", "waited too long")


def test_a_test_that_was_cut_off_keeps_what_it_had() -> None:
    found = outcomes(report(spec(PASSES, "passed"), spec(CUT, "timedout", message="A suite timeout occurred")), {})
    old = {"tests": {CUT: {"state": "failed", "date": "2026-01-01"}, "gone": {"state": "passed"}}}
    made = results.merged(old, found, "2026-01-02", k8s="v1.31.4")
    assert made["tests"] == {
        CUT: {"state": "failed", "date": "2026-01-01"},
        PASSES: {"state": "passed", "seconds": 1.3, "date": "2026-01-02"},
    }
    assert made["k8s"] == "v1.31.4"
    assert results.merged({"tests": {}}, found, "")["tests"][CUT] == {"state": NOT_RUN}


def test_each_run_is_held_against_what_is_known() -> None:
    ran = {"a": Outcome(state="failed", said="why"), "b": Outcome(state="passed"), "c": Outcome(state=NOT_RUN)}
    one = Known(reason="open", cause="it is so")
    assert list(known.problems(ran, {"b": one, "c": one})) == ["failed: a: why", "passed, though known.csv has it: b"]
    assert list(known.problems(ran, {"a": one})) == []
    assert "no test was run" in next(known.problems({"c": Outcome(state=NOT_RUN)}, {}))


@pytest.mark.parametrize(("row", "told"), [("a,because,x", "'because' is none of"), ("a,open,x\na,open,y", "twice")])
def test_a_wrong_row_is_named(row: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        known.read(["test,reason,cause", *row.splitlines()])


def test_the_page_says_why_a_test_does_not_pass() -> None:
    image = next(iter(DIFFERENCES))
    tests = {
        PASSES: {"state": "passed", "seconds": 2.0, "date": "2026-01-02", "images": [image]},
        CUT: {"state": "failed", "said": "pipe | sign", "date": "2026-01-02"},
        OTHER: {"state": "failed", "said": "no second node"},
    }
    machine = dict.fromkeys(("cores", "architecture", "memory_gib", "kernel", "load_at_start"), 1)
    facts = {"k8s": "v1.31.4", "command": "nox", "machine": machine, "versions": {"k8sbuild": "1", "commit": "c"}}
    text = page.render({"tests": tests, **facts}, {OTHER: Known(reason="two nodes", cause="compares nodes")})
    assert "3 tests: **1 passed, 2 failed**" in text
    assert "It needs two nodes, and there is one (1):" in text
    assert f"| {OTHER} | compares nodes |" in text
    assert f"| {CUT} | pipe \\| sign |" in text
    assert f"| `{image}` | 1 | {DIFFERENCES[image]} |" in text
    assert "| Pods should run [Conformance] | passed * | 2.0 | 2026-01-02 |" in text


def test_the_page_is_made_from_the_results() -> None:
    listed = known.read(known.FILE.read_text("utf-8").splitlines())
    found = results.read(RESULTS)
    assert RESULTS.with_suffix(".md").read_text("utf-8") == page.render(found, listed)
    assert set(listed) <= set(found["tests"]), "these are no tests"
    passed = {name for name, row in found["tests"].items() if row["state"] == "passed"}
    assert passed & set(listed) == set(), "these pass"


def test_results_name_no_machine_and_no_path() -> None:
    found = results.read(RESULTS)
    # Upstream's names of tests have paths in pods.
    text = json.dumps({**found, "tests": list(found["tests"].values())})
    assert os.uname().nodename not in text
    assert not re.search(r"/(tmp|home|root|work)/", text)


def test_what_differs_is_said_of_images_that_there_are() -> None:
    assert set(DIFFERENCES) <= {image.reference for image in images()}
