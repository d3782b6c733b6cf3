"""Whole runs of small graphs through the API: no network, no Go."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from toys import ALL, chain, failure, log, states, step, target

from k8sbuild import api
from k8sbuild.errors import PlanError, StoreError
from k8sbuild.store.locks import lock
from k8sbuild.store.store import Store

if TYPE_CHECKING:
    from toys import Make, Named, RequestFor

    from k8sbuild.engine import events


def test_artifacts_sums_and_build_json(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()))
    report = api.build(request)
    folder = request.root / "dist/artifacts"
    assert (folder / "toy").read_text() == "a"
    (artifact,) = report.artifacts
    assert (folder / "SHA256SUMS").read_text() == f"{artifact.sha256}  toy\n"
    document = json.loads((folder / "build-toy-linux-amd64.json").read_text())
    assert document["inputs"]["target"] == "toy"
    assert ALL in document["inputs"]["trees"]
    assert states(report) == {"one": "ran", "all": "ran"}
    assert report.to_dict()["steps"][1]["facts"] == {"read": 1}
    assert [record["event"] for record in log(report)][0::7] == ["run-started", "run-finished"]
    assert not (request.root / ".k8sbuild/tmp").exists() or not list((request.root / ".k8sbuild/tmp").iterdir())


def test_a_second_run_does_nothing(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()))
    api.build(request)
    before = (request.root / "dist/artifacts/toy").stat().st_mtime_ns
    assert set(states(api.build(request)).values()) == {"reused"}
    assert (request.root / "dist/artifacts/toy").stat().st_mtime_ns == before


def test_an_equal_output_stops_the_chain(plugin: Make, request_for: RequestFor) -> None:
    api.build(request_for(plugin(**chain("apple"))))
    request = request_for(plugin(**chain("ant")))
    plan = {row.step: (row.state, row.why) for row in api.plan(request).rows}
    assert plan == {"compile:toy/one": ("runs", "param:text changed"), ALL: ("depends", "depends on compile:toy/one")}
    assert states(api.build(request)) == {"one": "ran", "all": "reused"}
    explained = {e.step: e.to_dict() for e in api.explain(request).steps}
    assert explained["compile:toy/one"]["changed"] == {"param:text": ['"apple"', '"ant"']}
    assert explained[ALL]["why"] == "nothing changed"


def test_only_the_file_that_is_read_counts(plugin: Make, request_for: RequestFor) -> None:
    def toy(other: str) -> Named:
        hooks = chain()
        hooks["compile"][0] = step("one", "initial", params={"text": "a", "other": other})
        return plugin(**hooks)

    api.build(request_for(toy("x")))
    assert states(api.build(request_for(toy("y")))) == {"one": "ran", "all": "reused"}


@pytest.mark.parametrize("address", ["compile:toy/one/two", "compile:toy/one", "compile:toy/other"])
def test_what_is_not_declared_cannot_be_read(plugin: Make, request_for: RequestFor, address: str) -> None:
    error = failure(request_for(plugin(**chain(params={"reads": [address]}))), PlanError)
    assert (error.reason, error.step) == ("undeclared-input", ALL)
    assert address in error.message


def test_an_output_may_be_a_folder(plugin: Make, request_for: RequestFor) -> None:
    made = step("all", "write", params={"dir/x": "y"}, outputs=("dir",))
    assert states(api.build(request_for(plugin(**target(made, artifact=f"{ALL}/dir"))))) == {"all": "ran"}


def test_a_folder_is_no_file(plugin: Make, request_for: RequestFor) -> None:
    reads = {"inputs": ("compile:toy/one",), "params": {"reads": ["compile:toy/one"]}}
    hooks = chain()
    hooks["compile"][1] = step("all", "read", **reads)
    assert failure(request_for(plugin(**hooks)), PlanError).reason == "not-a-file"


def test_steps_run_at_the_same_time(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    steps = [
        step(a, "meet", params={"folder": str(tmp_path), "mine": a, "other": b}) for a, b in (("x", "y"), ("y", "x"))
    ]
    both = step("all", "write", params={"all": "met"}, inputs=("compile:toy/x", "compile:toy/y"))
    assert set(states(api.build(request_for(plugin(**target(*steps, both))))).values()) == {"ran"}


def test_a_settled_step_does_not_hold_up_what_it_feeds(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    first = step("one", "initial", params={"text": "a"})
    api.build(request_for(plugin(**target(first, artifact="compile:toy/one/one"))), until="compile")
    fed = {"folder": str(tmp_path), "mine": "fed", "other": "free"}
    free = {"folder": str(tmp_path), "mine": "free", "other": "fed"}
    steps = [first, step("fed", "meet", params=fed, inputs=("compile:toy/one",)), step("free", "meet", params=free)]
    both = step("all", "write", params={"all": "met"}, inputs=("compile:toy/fed", "compile:toy/free"))
    found = states(api.build(request_for(plugin(**target(*steps, both)))))
    assert found == {"one": "reused", "fed": "ran", "free": "ran", "all": "ran"}


def test_an_input_is_laid_out_once_a_step(plugin: Make, request_for: RequestFor) -> None:
    again = step("all", "twice", inputs=("compile:toy/one/one",), params={"reads": "compile:toy/one/one"})
    first = step("one", "initial", outputs=("one",), params={"text": "apple"})
    report = api.build(request_for(plugin(**target(first, again))))
    assert (report.outcomes[-1].state, report.warnings) == ("ran", ())


def test_a_step_may_run_every_time(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**target(step("all", "luck", outputs=("all",), reuse=False))))
    assert states(api.build(request)) == states(api.build(request)) == {"all": "ran"}


def test_verify_compares_two_builds(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()), verify=True)
    report = api.build(request)
    assert (report.verified, report.warnings) == (2, ())
    assert [row.state for row in api.explain(request).steps] == ["finished", "finished"]
    where = chain()
    where["compile"][1] = step("all", "place", inputs=("compile:toy/one",), outputs=("all",))
    api.build(request_for(plugin(**where)))
    error = failure(request_for(plugin(**where), verify=True))
    assert error.details == {"steps": [ALL]}, "the second build has work trees of its own"
    error = failure(request_for(plugin(**target(step("all", "luck", outputs=("all",)))), verify=True))
    assert (error.reason, error.details) == ("not-reproducible", {"steps": [ALL]})


def test_two_builds_make_one_result_once(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    began = tmp_path / "began"
    toy = plugin(**target(step("all", "slow", params={"began": str(began)}), artifact=f"{ALL}/all"))
    requests = [request_for(toy, root=tmp_path / name) for name in ("first", "second")]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda request: api.build(request, until="compile"), requests))
    assert sorted(o.state for report in reports for o in report.outcomes) == ["ran", "reused"]
    assert began.read_text() == "x"


def test_a_build_says_that_it_waits_for_a_collection(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()))
    with ExitStack() as collection:
        store = Store(Path(request.env["K8SBUILD_CACHE_DIR"], "store"))
        collection.enter_context(lock(store.layout.gc_lock, "gc"))

        def end(event: events.Event) -> None:
            if event.kind == "warning":
                collection.close()

        report = api.build(request, observers=(("end", end),))
    (warning,) = report.warnings
    assert warning.startswith(f"waiting for process {os.getpid()} on ")
    assert warning.endswith(": gc")


def test_an_observer_that_fails_is_left_out(plugin: Make, request_for: RequestFor) -> None:
    calls = []

    def event(event: object) -> None:
        calls.append(event)
        raise ValueError("blind")

    report = api.build(request_for(plugin(**chain(), event=event)))
    assert len(calls) == 1
    assert report.warnings == ("observer toy failed and is left out: blind",)


def test_settings_reach_steps_early(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()), target="", set=["target=toy", "out=there"])
    api.build(request)
    assert (request.root / "there/artifacts/toy").is_file()


def test_clean_takes_nothing_from_a_build_that_runs(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()))
    api.build(request)
    (held,) = (request.root / ".k8sbuild/work").glob("*.lock")
    with lock(held, "build toy"), pytest.raises(StoreError, match="a build of toy-") as caught:
        api.clean(request)
    assert caught.value.reason == "project-in-use"
    assert (request.root / "dist/artifacts/toy").is_file()


def test_clean_removes_what_is_of_the_project(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()))
    api.build(request)
    assert str(request.root / "dist/artifacts") in api.clean(request)
    assert (request.root / ".k8sbuild/runs").exists()
    api.clean(request, everything=True)
    assert not (request.root / ".k8sbuild/runs").exists()
    assert set(states(api.build(request)).values()) == {"reused"}, "the store stays"


def test_lock_needs_nothing_here(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()))
    assert api.lock(request) == api.lock(request, check=True) == str(request.root / "k8sbuild.lock")
