"""Whole runs of small graphs through the API: no network, no Go."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild import api
from k8sbuild.build import host_platform
from k8sbuild.engine import events
from k8sbuild.errors import BuildError, CompileError, PlanError, PluginError, StoreError, ToolError
from k8sbuild.kinds import Check, Collect, Step, Target
from k8sbuild.store.locks import lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    Named = tuple[str, ModuleType]
    Make = Callable[..., Named]
    RequestFor = Callable[..., api.Request]

ALL = "compile:toy/all"


def step(name: str, run: str, *, stage: Any = "compile", **fields: Any) -> Step:
    return Step(name=name, stage=stage, run=f"engine_steps:{run}", **fields)


def target(*steps: Step, artifact: str = f"{ALL}/all", **hooks: Any) -> dict[str, Any]:
    """Return the hooks of a plugin whose target is made by steps."""
    return {"targets": [Target(name="toy", help="a toy", artifacts={"toy": artifact})], "compile": list(steps), **hooks}


def chain(text: str = "apple", **second: Any) -> dict[str, Any]:
    """Return two steps; the first one's output depends on the first letter alone."""
    first = step("one", "initial", outputs=("one",), params={"text": text})
    fields = {"inputs": ("compile:toy/one/one",), "params": {"reads": ["compile:toy/one/one"]}, **second}
    return target(first, step("all", "join", outputs=("all",), **fields))


def states(report: api.Report) -> dict[str, str]:
    return {outcome.step.partition("/")[2]: outcome.state for outcome in report.outcomes}


def log(report: api.Report) -> list[dict[str, Any]]:
    return list(events.read(Path(report.log)))


def last_log(request: api.Request) -> list[dict[str, Any]]:
    return list(events.read(events.runs(request.root / ".k8sbuild/runs")[-1]))


def failure(request: api.Request, kind: type[BuildError] = BuildError) -> BuildError:
    with pytest.raises(kind) as caught:
        api.build(request)
    return caught.value


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


@pytest.mark.parametrize(
    ("fields", "reason", "said"),
    [
        ({"outputs": ("none",)}, "missing-output", "did not make its output 'none'"),
        (
            {"inputs": ("compile:toy/one/none",), "params": {"reads": ["compile:toy/one/none"]}},
            "missing-output",
            "none",
        ),
    ],
)
def test_missing_files_are_named(
    plugin: Make, request_for: RequestFor, fields: dict[str, Any], reason: str, said: str
) -> None:
    hooks = chain()
    given = {"inputs": ("compile:toy/one/one",), "params": {"reads": ["compile:toy/one/one"]}, **fields}
    hooks["compile"][1] = step("all", "join", **given)
    error = failure(request_for(plugin(**hooks)), PlanError)
    assert (error.reason, error.step) == (reason, ALL)
    assert said in error.message


def test_an_output_may_be_a_folder(plugin: Make, request_for: RequestFor) -> None:
    made = step("all", "write", params={"dir/x": "y"}, outputs=("dir",))
    assert states(api.build(request_for(plugin(**target(made, artifact=f"{ALL}/dir"))))) == {"all": "ran"}


def test_a_folder_is_no_file(plugin: Make, request_for: RequestFor) -> None:
    reads = {"inputs": ("compile:toy/one",), "params": {"reads": ["compile:toy/one"]}}
    hooks = chain()
    hooks["compile"][1] = step("all", "read", **reads)
    assert failure(request_for(plugin(**hooks)), PlanError).reason == "not-a-file"


def test_a_step_that_raises_is_named_with_its_place(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**target(step("all", "crash"))))
    error = failure(request, PluginError)
    assert (error.reason, error.step) == ("step-raised", ALL)
    assert "engine_steps:crash raised ValueError: oops" in error.message
    assert "engine_steps.py:" in error.details["place"]
    kinds = [record["event"] for record in last_log(request)]
    assert kinds[-2:] == ["step-failed", "run-failed"]


def test_a_command_that_fails_shows_its_end_and_its_log(plugin: Make, request_for: RequestFor) -> None:
    error = failure(request_for(plugin(**target(step("all", "fail")))))
    assert (error.reason, error.step) == ("command-failed", ALL)
    assert error.message.endswith("exit code 3\nbefore\nwhy")
    assert Path(error.log).read_text().endswith("before\nwhy\nexit 3\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["no-such-program", "x"], "no-such-program cannot be started: No such file"),
        (["/"], "/ cannot be started: Permission denied"),
        ([], "no command: it is empty"),
        (["echo", "a\0b"], "or has a NUL"),
    ],
)
@pytest.mark.parametrize("run", ["command", "serve"])
def test_a_command_that_cannot_be_started(
    plugin: Make, request_for: RequestFor, argv: list[str], said: str, run: str
) -> None:
    error = failure(request_for(plugin(**target(step("all", run, params={"argv": argv})))), ToolError)
    assert (error.reason, error.step, said in error.message) == ("command-not-started", ALL, True)
    assert "python" not in error.hint


@pytest.mark.parametrize("writer", ["exec head", "trap '' XFSZ; head"])
def test_a_limit_of_file_sizes_is_as_a_full_disk(plugin: Make, request_for: RequestFor, writer: str) -> None:
    argv = ["bash", "-c", f"ulimit -f 8; {writer} -c 99999 /dev/zero > big"]
    error = failure(request_for(plugin(**target(step("all", "command", params={"argv": argv})))), StoreError)
    assert (error.reason, "ulimit -f" in error.hint) == ("disk-full", True)


@pytest.mark.parametrize(("run", "said"), [("engine_steps:none", "none"), ("no_such_module:run", "no_such_module")])
def test_a_run_function_that_is_not_there(plugin: Make, request_for: RequestFor, run: str, said: str) -> None:
    error = failure(request_for(plugin(**target(Step(name="all", stage="compile", run=run)))), PlanError)
    assert (error.reason, said in error.message) == ("bad-run-function", True)


def test_what_is_finished_is_kept(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    first = step("one", "initial", params={"text": "a"})
    second = step("all", "stumble", inputs=("compile:toy/one",), params={"until": str(tmp_path / "now")})
    request = request_for(plugin(**target(first, second, artifact=f"{ALL}/all")))
    assert failure(request, CompileError).step == ALL
    (tmp_path / "now").touch()
    assert states(api.build(request, until="compile")) == {"one": "reused", "all": "ran"}


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


def test_no_step_starts_after_a_failure(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    began = tmp_path / "began"
    steps = [step("a", "crash"), *(step(f"b{n}", "slow", params={"began": str(began)}) for n in range(6))]
    ends = tuple(f"compile:toy/{s.name}" for s in steps)
    request = request_for(plugin(**target(*steps, step("all", "nothing", inputs=ends), artifact=f"{ALL}/all")), jobs=1)
    assert failure(request).step == "compile:toy/a"
    assert not began.exists()


def test_a_failed_run_says_what_failed_and_what_was_stopped(
    plugin: Make, request_for: RequestFor, tmp_path: Path
) -> None:
    began = tmp_path / "began"
    steps = [step("early", "initial", params={"text": "a"}), step("held", "sleep", params={"pid": str(began)})]
    steps += [step("bad", "fail_after", params={"other": str(began)})]
    ends = tuple(f"compile:toy/{s.name}" for s in steps)
    last = step("all", "nothing", inputs=ends)
    request = request_for(plugin(**target(*steps, last)), jobs=3)
    error = failure(request)
    assert (error.reason, error.step) == ("command-failed", "compile:toy/bad")
    report = api.explain(request)
    rows = {row.step.rpartition("/")[2]: row for row in report.steps}
    assert {name: row.state for name, row in rows.items()} == {
        "early": "finished", "held": "stopped", "bad": "failed", "all": "not-started"
    }  # fmt: skip
    assert rows["held"].why == "compile:toy/bad failed"
    assert (report.state, report.error["reason"]) == ("failed", "command-failed")
    assert rows["bad"].error["log"] == error.log
    assert {"kind", "param:other"} <= rows["bad"].after.keys()
    plan = {row.step.rpartition("/")[2]: row.why for row in api.plan(request).rows}
    assert (plan["early"], plan["held"], plan["bad"]) == ("", "stopped last time", "failed last time")


def test_any_two_runs_are_compared_and_a_failed_one_hides_nothing(plugin: Make, request_for: RequestFor) -> None:
    first = api.build(request_for(plugin(**chain("apple")))).log
    failure(request_for(plugin(**chain("apple", params={"reads": ["compile:toy/one/gone"]}))))
    request = request_for(plugin(**chain("berry")))
    plan = {row.step: row.why for row in api.plan(request).rows}
    assert plan["compile:toy/one"] == "param:text changed"
    second = api.build(request).log
    names = Path(first).stem, Path(second).stem
    for run, against in (names, names[::-1]):
        report = api.explain(request, step="one", run=run, against=against)
        assert (report.run, report.against, report.steps[0].why) == (run, against, "param:text changed")


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


def checks(*given: Check) -> dict[str, Any]:
    return {**chain(), "validate": list(given)}


CHECK = Check(name="look", run="engine_steps:check", inputs=(f"{ALL}/all",), params={"plugin": "mine"})


def test_checks_find_facts(plugin: Make, request_for: RequestFor) -> None:
    seen: list[events.Event] = []
    report = api.build(request_for(plugin(**checks(CHECK))), observers=(("eyes", seen.append),))
    found = report.to_dict()["steps"][-1]["facts"]["found"]
    assert found == ["fine", "home", "None", "['plugin']"], "parameters are the step's own"
    assert report.warnings == ("looked",)
    assert [event.data for event in seen if event.kind == "progress"] == [{"what": "things", "done": 1, "total": 1}]
    assert "progress" not in {record["event"] for record in log(report)}


def test_which_checks_run(plugin: Make, request_for: RequestFor) -> None:
    fields = {"run": "engine_steps:check", "inputs": (f"{ALL}/all",)}
    live = Check(name="live", live=True, **fields)  # type: ignore[arg-type]
    off = Check(name="off", enabled=False, why="not today", **fields)  # type: ignore[arg-type]
    toy = plugin(**checks(CHECK, live, off))
    report = api.build(request_for(toy))
    assert states(report) == {"one": "ran", "all": "ran", "live": "ran", "look": "ran", "off": "skipped"}
    assert [o.why for o in report.outcomes if o.state == "skipped"] == ["not today"]
    assert "live" not in states(api.build(request_for(toy, fast=True)))
    assert set(states(api.build(request_for(toy, skip_validate=True)))) == {"one", "all"}
    stopped = api.build(request_for(toy), until="compile")
    assert (set(states(stopped)), stopped.artifacts) == ({"one", "all"}, ())


def test_live_checks_are_skipped_for_another_platform(plugin: Make, request_for: RequestFor) -> None:
    other = {"amd64": "arm64", "arm64": "amd64"}[host_platform().arch]
    live = replace(CHECK, name="live", live=True)
    report = api.build(request_for(plugin(**checks(CHECK, live)), arch=other))
    assert states(report) == {"one": "ran", "all": "ran", "live": "skipped", "look": "ran"}
    (why,) = [o.why for o in report.outcomes if o.state == "skipped"]
    assert why == f"this machine ({host_platform()}) cannot run programs for linux-{other}"


def test_a_check_that_fails_leaves_no_new_artifacts(plugin: Make, request_for: RequestFor) -> None:
    bad = Check(name="bad", run="engine_steps:check", inputs=(f"{ALL}/all",), params={"bad": True})
    request = request_for(plugin(**checks(bad)))
    assert failure(request).exit_code == 20
    assert not (request.root / "dist/artifacts/toy").exists()


def test_what_depends_on_a_skipped_step_is_skipped(plugin: Make, request_for: RequestFor) -> None:
    off = Check(name="off", run="engine_steps:check", inputs=(), enabled=False)
    after = step("after", "nothing", stage="validate", inputs=("validate:toy/off",))
    hooks = {**chain(), "validate": [off, after]}
    report = api.build(request_for(plugin(**hooks)))
    assert {o.step: o.why for o in report.outcomes if o.state == "skipped"} == {
        "validate:toy/off": "not enabled",
        "validate:toy/after": "depends on validate:toy/off",
    }


def test_collections_reach_other_plugins(plugin: Make, request_for: RequestFor) -> None:
    inputs: tuple[Any, ...] = (Collect(kind="Step"),)
    gather = Check(name="gather", run="engine_steps:check", inputs=inputs, params={"bad": Collect(kind="Overlay")})
    request = request_for(plugin(**checks(gather)), plugin("other", compile=[step("more", "write", params={"x": "y"})]))
    assert states(api.build(request))["more"] == "ran", "the check's collection makes it wanted"


def _blobs(request: api.Request) -> list[Path]:
    return [
        p for p in Path(request.env["K8SBUILD_CACHE_DIR"], "store").rglob("*") if p.is_file() and p.stat().st_size == 1
    ]


def _damage(request: api.Request) -> None:
    (blob, *_) = _blobs(request)
    blob.chmod(0o644)
    blob.write_text("z")


def test_a_damaged_store_is_rebuilt_in_the_same_run(plugin: Make, request_for: RequestFor) -> None:
    api.build(request_for(plugin(**chain())))
    request = request_for(plugin(**chain(env={"NEW": "key"})))
    _damage(request)
    Path(request.root, ".k8sbuild/work").rename(request.root / "elsewhere")
    report = api.build(request)
    assert states(report) == {"one": "ran", "all": "ran"}
    assert any("rebuilt" in text for text in report.warnings)
    assert (request.root / "dist/artifacts/toy").read_text() == "a"


@pytest.mark.parametrize("kind", ["blobs", "trees", "results"])
def test_a_damaged_artifact_of_a_reused_step_is_rebuilt(plugin: Make, request_for: RequestFor, kind: str) -> None:
    request = request_for(plugin(**chain()))
    api.build(request)
    for file in Path(request.env["K8SBUILD_CACHE_DIR"], "store", kind).rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_bytes(file.read_bytes()[:-1] + b"z")
    shutil.rmtree(request.root / "dist")
    api.build(request)
    assert (request.root / "dist/artifacts/toy").read_text() == "a"


def test_check_store_names_what_is_damaged(plugin: Make, request_for: RequestFor) -> None:
    toy = plugin(**chain())
    api.build(request_for(toy))
    _damage(request_for(toy))
    report = api.build(request_for(toy, check_store=True))
    assert any(text.startswith("store: ") for text in report.warnings)
    assert "ran" in states(report).values()


def test_two_builds_make_one_result_once(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    began = tmp_path / "began"
    toy = plugin(**target(step("all", "slow", params={"began": str(began)}), artifact=f"{ALL}/all"))
    requests = [request_for(toy, root=tmp_path / name) for name in ("first", "second")]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda request: api.build(request, until="compile"), requests))
    assert sorted(o.state for report in reports for o in report.outcomes) == ["ran", "reused"]
    assert began.read_text() == "x"


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


def test_explain_without_a_run(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()))
    with pytest.raises(BuildError, match="nothing has run here yet"):
        api.explain(request)
    api.build(request)
    with pytest.raises(BuildError, match="no run 'x1' is on record"):
        api.explain(request, run="x1")
    assert [e.step for e in api.explain(request, step="all").steps] == [ALL]


def test_explain_takes_the_last_run_that_had_such_a_step(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()))
    first = Path(api.build(request).log).stem
    last = Path(api.build(request, choose=lambda found: found.graph.wanted(["compile:toy/one"])).log).stem
    assert [api.explain(request, step=word).run for word in ("all", "one", "")] == [first, last, last]
    for run, said in (("", "no run on record has a step 'oen'; did you mean 'one'"), (last, f"run {last} has no step")):
        with pytest.raises(BuildError, match=said) as caught:
            api.explain(request, step="oen" if not run else "all", run=run)
        assert caught.value.reason == "unknown-step"


def test_a_step_that_never_ran_here_is_reused_from_the_store(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()))
    first = api.build(request).log
    Path(first).unlink()
    api.build(request)
    assert {(e.state, e.why) for e in api.explain(request).steps} == {("reused", "an equal one is in the store")}


def test_old_runs_are_forgotten(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()))
    folder = request.root / ".k8sbuild/runs"
    folder.mkdir(parents=True)
    for number in range(60):
        (folder / f"2000-{number:02}.jsonl").write_text("")
    api.build(request)
    names = [path.stem for path in events.runs(folder)]
    assert len(names) == 50
    assert names[0] == "2000-11"


DRIVER = """\
import sys, types
from pathlib import Path
sys.path.insert(0, {site!r})
from k8sbuild import api, hookimpl
from k8sbuild.kinds import PluginInfo, Step, Target
toy = types.ModuleType("toy")
toy.__file__ = {pid!r}
step = Step(name="all", stage="compile", run="engine_steps:sleep", params={{"pid": {pid!r}}})
hooks = {{"plugin": PluginInfo(name="toy"), "compile": [step],
          "targets": [Target(name="toy", help="", artifacts={{"toy": "compile:toy/all/all"}})]}}
for name, given in hooks.items():
    setattr(toy, "k8sbuild_" + name, hookimpl(lambda given=given: given))
flags = {{"plugin": ["toy"], "target": "toy", "k8s": "v1.31.4"}}
api.build(api.Request(flags=flags, env={{"K8SBUILD_CACHE_DIR": {cache!r}}}, root=Path({root!r}), extra=(("toy", toy),)))
"""


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_commands_end_with_the_run(tmp_path: Path, by: int) -> None:
    pid = tmp_path / "pid"
    site = str(Path(__file__).parent / "site")
    text = DRIVER.format(site=site, pid=str(pid), cache=str(tmp_path / "cache"), root=str(tmp_path))
    run = subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.DEVNULL, env=dict(os.environ))
    end = time.monotonic() + 20
    while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.02)
    command = int(pid.read_text())
    assert not _gone(command)
    run.send_signal(by)
    assert run.wait(20) != 0
    end = time.monotonic() + 5
    while not _gone(command) and time.monotonic() < end:
        time.sleep(0.02)
    assert _gone(command)
    last = list(events.read(events.runs(tmp_path / ".k8sbuild/runs")[-1]))[-1]["event"]
    assert last == ("step-started" if by == signal.SIGKILL else "run-failed")


SECRET = "hunter22-and-more"


def _everything(request: api.Request) -> str:
    folders = (request.root / ".k8sbuild/runs", request.root / ".k8sbuild/logs", request.root / "dist")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".jsonl", ".log", ".json"}
    return "".join(path.read_text() for path in files)


def test_a_secret_reaches_a_command_and_nothing_else(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    toy = plugin(**target(step("all", "whisper", outputs=("all",), secrets=("TOKEN",))))
    request = request_for(toy, env={"K8SBUILD_SECRET_TOKEN": SECRET})
    report = api.build(request)
    assert (request.root / "dist/artifacts/toy").read_text() == "17"
    assert report.warnings == ("***",)
    assert report.to_dict()["steps"][0]["facts"]["said"] == ["***\nof ***\n", "***"]
    text = _everything(request)
    assert SECRET not in text
    assert "echo of $1' sh ***" in text
    (tmp_path / "token").write_text("another\n")
    other = request_for(toy, env={"K8SBUILD_SECRET_TOKEN_FILE": str(tmp_path / "token")})
    assert states(api.build(other)) == {"all": "reused"}, "the value is in no key"


def test_a_secret_stays_out_of_errors(plugin: Make, request_for: RequestFor) -> None:
    toy = plugin(**target(step("all", "whisper", outputs=("all",), secrets=("TOKEN",), params={"fail": True})))
    request = request_for(toy, env={"K8SBUILD_SECRET_TOKEN": SECRET})
    error = failure(request)
    assert "***" in error.message
    assert SECRET not in str(error.to_dict()) + str(last_log(request))


def test_a_secret_that_is_missing_or_cannot_be_read(plugin: Make, request_for: RequestFor, tmp_path: Path) -> None:
    toy = plugin(**target(step("all", "whisper", secrets=("TOKEN",))))
    missing = failure(request_for(toy))
    assert (missing.reason, missing.step) == ("secret-missing", ALL)
    assert "K8SBUILD_SECRET_TOKEN" in missing.hint
    unreadable = failure(request_for(toy, env={"K8SBUILD_SECRET_TOKEN_FILE": str(tmp_path)}))
    assert unreadable.reason == "secret-unreadable"
