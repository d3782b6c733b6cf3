"""The closing table and the texts of the other reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8sbuild.api import Explained, Explanation, PlanReport, Report, TestReport
from k8sbuild.engine.export import Artifact
from k8sbuild.engine.plan import Decision
from k8sbuild.engine.run import Outcome
from k8sbuild.errors import CompileError
from k8sbuild.kinds import Finding
from k8sbuild.report import answers
from k8sbuild.report import tests as gotests
from k8sbuild.report.table import closing, near

if TYPE_CHECKING:
    import pytest


def report(**changes: Any) -> Report:
    fields: dict[str, Any] = {
        "target": "k8s",
        "k8s": "v1.31.4",
        "platform": "linux-amd64",
        "outcomes": (
            Outcome(step="fetch:single-binary/kubernetes", state="reused"),
            Outcome(step="compile:single-binary/k8s", state="ran", why="param:tags changed", seconds=252.0),
            Outcome(step="validate:single-binary/ha", state="skipped", why="validate-ha is off"),
        ),
        "artifacts": (Artifact(name="k8s", size=126_400_000, sha256="ab" * 32, address="compile:a/k8s/k8s"),),
        "warnings": ("careful",),
        "log": "run.jsonl",
        "seconds": 260.0,
        "folder": "dist/artifacts",
    }
    return Report(**{**fields, **changes})


def test_closing_table_has_times_reasons_sizes_and_warnings() -> None:
    lines = [" ".join(line.split()) for line in closing(report()).splitlines()]
    assert lines[0] == "k8s v1.31.4 linux-amd64 in 4 min 20 s"
    assert "stage time ran reused skipped" in lines
    assert "fetch 0.0 s 0 1 0" in lines
    assert "compile 4 min 12 s 1 0 0" in lines
    assert "validate 0.0 s 0 0 1" in lines
    assert "compile:single-binary/k8s 4 min 12 s param:tags changed" in lines
    assert "validate:single-binary/ha validate-ha is off" in lines
    assert f"k8s 126.4 MB sha256:{'ab' * 32}" in lines
    assert "careful" in lines
    assert lines[-1] == "run log: run.jsonl"


def test_the_time_of_a_stage_is_no_sum_of_what_ran_at_once() -> None:
    pairs = (("one", 5.0, 20.0), ("two", 6.0, 30.0), ("three", 40.0, 2.0))
    steps = [Outcome(step=f"validate:a/{name}", state="ran", began=at, seconds=took) for name, at, took in pairs]
    assert "validate 37 s 3 0 0" in [" ".join(line.split()) for line in closing(report(outcomes=steps)).splitlines()]


def test_closing_table_leaves_out_what_is_empty() -> None:
    text = closing(report(outcomes=(), artifacts=(), warnings=()))
    for word in ("not reused", "skipped", "artifacts", "warnings"):
        assert word not in text


def test_near_is_the_shorter_path(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert near(str(tmp_path / "dist")) == "dist"
    assert near("/x") == "/x"
    assert near("") == ""


def test_plan_counts_states() -> None:
    rows = (
        Decision(step="fetch:a/b", state="reused"),
        Decision(step="patch:a/b", state="runs", why="x changed"),
        Decision(step="compile:a/b", state="depends", why="depends on patch:a/b"),
    )
    text = answers.plan(PlanReport(target="k8s", k8s="v1.31.4", platform="linux-amd64", rows=rows))
    assert "will run  patch:a/b    x changed" in text
    assert text.endswith("1 reused, 1 will run, 1 may run")
    assert text.startswith("k8s for linux-amd64, with Kubernetes v1.31.4\n")
    assert answers.plan(PlanReport(target="k8s", k8s="", platform="", rows=())).endswith("nothing to do")


def test_explanation_shows_both_values_and_shortens_long_ones() -> None:
    row = Explanation(step="compile:a/b", state="finished", why="t changed", before={"t": "1"}, after={"t": 99 * "y"})
    text = answers.explained(Explained(run="r2", against="r1", state="finished", steps=(row,)))
    assert text.splitlines()[0] == "run r2, against r1: finished"
    assert f"t: 1 -> {'y' * 79}…" in text


def test_explanation_of_a_failure_has_reason_and_log_once() -> None:
    error = {"reason": "go-failed", "message": "it broke\nthere", "log": "/logs/go.log"}
    row = Explanation(step="compile:a/b", state="failed", why="t changed", error=error)
    text = answers.explained(Explained(run="r", against="", state="failed", steps=(row,), error=error))
    assert text.splitlines() == [
        "run r: failed",
        "compile:a/b: failed: t changed",
        "    error: it broke",
        "           there [go-failed]",
        "    log:   /logs/go.log",
    ]
    early = answers.explained(Explained(run="r", against="", state="failed", steps=(), error=error))
    assert early.splitlines()[1] == "    error: it broke"


def test_findings_give_the_fix_only_where_something_is_wrong() -> None:
    text = answers.findings(
        [
            Finding(name="disk", ok=False, message="full", fix="free some"),
            Finding(name="git", ok=True, message="found", fix="install it"),
        ]
    )
    assert text == "BAD  disk: full\n     fix: free some\nok   git: found"


def test_plugins_name_what_is_broken() -> None:
    broken = {"name": "bad", "message": "cannot be loaded", "hint": "--no-plugin=bad"}
    text = answers.plugins({"plugins": [], "targets": [], "broken": [broken]})
    assert text == "broken\n  bad  cannot be loaded  --no-plugin=bad"
    assert "no plugin is installed" in answers.plugins({"plugins": [], "targets": [], "broken": []})


def test_failure_says_each_thing_once() -> None:
    error = CompileError("compile:a/b: it broke", reason="go-failed", hint="k8sbuild explain", log="go.log")
    error.step = "compile:a/b"
    assert answers.failure(error).splitlines() == [
        "error: compile:a/b: it broke [go-failed]",
        "hint:  k8sbuild explain",
        "log:   go.log",
    ]


def test_figures_of_tests_are_listed() -> None:
    row = {"package": "p", "result": "pass", "seconds": 1.0, "coverage": None, "race": False}
    said = gotests.tests(TestReport(packages=(row,), tests=1, figures=("TestKill: kills 500",), log="run.jsonl"))
    assert "figures\n  TestKill: kills 500" in said


def test_skipped_tests_are_listed_and_counted() -> None:
    row = {"result": "pass", "package": "x/boot", "seconds": 1.0, "coverage": None, "race": False}
    skip = "x/boot TestLeader: SKIPPED: no etcd"
    said = gotests.tests(TestReport(packages=(row,), tests=7, skipped=(skip,), log="run.jsonl"))
    assert skip in said
    assert "7 tests in 1 packages, 1 SKIPPED, " in said
    assert "SKIPPED" not in gotests.tests(TestReport(packages=(row,), tests=7, log="run.jsonl"))
