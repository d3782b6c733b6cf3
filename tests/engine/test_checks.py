"""Checks: which run, what they find, what they stop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toys import ALL, chain, failure, log, states, step

from k8sbuild import api
from k8sbuild.build import host_platform
from k8sbuild.kinds import Check, Collect

if TYPE_CHECKING:
    from toys import Make, RequestFor

    from k8sbuild.engine import events


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
