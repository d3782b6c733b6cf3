"""What run logs say of runs: one, two compared, the last one with a step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from toys import ALL, chain, failure

from k8sbuild import api
from k8sbuild.engine import events
from k8sbuild.errors import BuildError
from k8sbuild.report import answers

if TYPE_CHECKING:
    from toys import Make, RequestFor


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


def test_a_step_that_never_ran_here_is_reused_from_the_store(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()))
    first = api.build(request).log
    Path(first).unlink()
    api.build(request)
    assert {(e.state, e.why) for e in api.explain(request).steps} == {("reused", "an equal one is in the store")}


def test_a_run_that_goes_on_is_passed_over_unless_it_is_asked_for(plugin: Make, request_for: RequestFor) -> None:
    found: dict[str, api.Explained] = {}

    def look(event: events.Event) -> None:
        if event.kind == "step-started" and not found:
            own = events.runs(request.root / ".k8sbuild/runs")[-1].stem
            found.update(last=api.explain(request), own=api.explain(request, run=own))

    over = Path(api.build(request_for(plugin(**chain()))).log).stem
    request = request_for(plugin(**chain("berry")))
    api.build(request, observers=(("look", look),))
    assert (found["last"].run, found["last"].state) == (over, "finished")
    assert (found["own"].state, found["own"].run == over) == ("running", False)
    assert "it still runs" in answers.explained(found["own"])


def test_a_run_that_was_killed_is_unfinished(plugin: Make, request_for: RequestFor) -> None:
    request = request_for(plugin(**chain()))
    path = Path(api.build(request).log)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"run-finished"' not in line))
    assert api.explain(request).state == "unfinished"


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
