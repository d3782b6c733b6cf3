"""Building, planning and failing through the real processes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell

PROGRAMS = ("invoke", "k8sbuild")


@pytest.mark.parametrize("program", PROGRAMS)
def test_build_leaves_artifact_and_closing_table(shell: Shell, program: str) -> None:
    done = shell("build", "--colour=red", "--layers=3", program=program)
    assert done.returncode == 0, done.stderr
    assert (shell.folder / "dist/artifacts/toy").read_text() == "red 3 \n"
    assert "artifacts in dist/artifacts" in done.stdout
    assert "never ran here" in done.stdout
    assert "the paint smells" in done.stdout
    assert "done     compile:toy/paint" in done.stderr


def test_second_build_reuses_and_says_so(shell: Shell) -> None:
    shell("build")
    done = shell("build", "--format=json")
    document = json.loads(done.stdout)
    assert document["schema"] == "k8sbuild/build/1"
    assert {step["state"] for step in document["steps"]} == {"reused"}
    assert document["artifacts"][0]["name"] == "toy"


def test_plan_names_the_component_that_changed(shell: Shell) -> None:
    shell("build")
    document = json.loads(shell("plan", "--layers=2", "--format=json").stdout)
    assert document["schema"] == "k8sbuild/plan/1"
    assert [(s["state"], s["why"]) for s in document["steps"]] == [
        ("runs", "param:layers changed"),
        ("depends", "depends on compile:toy/paint"),
    ]


def test_stage_runs_only_up_to_it(shell: Shell) -> None:
    document = json.loads(shell("compile", "--format=json").stdout)
    assert [s["step"] for s in document["steps"]] == ["compile:toy/paint"]


def test_list_values_are_joined_and_split(shell: Shell) -> None:
    done = shell("build", "--set", "toy.words=a,b", "--plugin=toy,toy", "--plugin", "toy", "--no-plugin=toy")
    assert done.returncode == 11
    assert "unknown-target" in done.stderr
    done = shell("build", "--set", "toy.words=a,b", "--plugin=toy")
    assert done.returncode == 0, done.stderr
    assert (shell.folder / "dist/artifacts/toy").read_text() == "red 1 a+b\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_failure_has_message_step_hint_log_and_its_exit_code(shell: Shell, program: str) -> None:
    done = shell("build", "--colour=blue", program=program)
    assert done.returncode == 18
    assert "error: no blue paint is left [no-paint]" in done.stderr
    assert "step:  compile:toy/paint" in done.stderr
    assert "hint:  --colour=red" in done.stderr
    assert "log:   /nowhere/paint.log" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_failure_as_json_is_one_document(shell: Shell) -> None:
    done = shell("build", "--colour=blue", "--format=json")
    document = json.loads(done.stdout)
    assert document["schema"] == "k8sbuild/error/1"
    assert (document["reason"], document["exit_code"]) == ("no-paint", done.returncode)


@pytest.mark.parametrize(
    ("program", "word"), [("invoke", "--layers=many"), ("k8sbuild", "--jobs=x"), ("k8sbuild", "--format=yaml")]
)
def test_wrong_value_is_one_clear_line(shell: Shell, program: str, word: str) -> None:
    done = shell("build", word, program=program)
    assert done.returncode == 11, done.stderr
    assert "[bad-value]" in done.stderr
    assert "Traceback" not in done.stderr


def test_aliases_of_the_environment_count(shell: Shell) -> None:
    shell("build", TOY_LAYERS="7")
    assert (shell.folder / "dist/artifacts/toy").read_text() == "red 7 \n"


def test_plugins_are_listed_with_targets_and_options(shell: Shell) -> None:
    document = json.loads(shell("plugins", "--options", "--format=json").stdout)
    assert document["schema"] == "k8sbuild/plugins/1"
    assert [p["name"] for p in document["plugins"]] == ["toy"]
    assert [t["name"] for t in document["targets"]] == ["toy"]
    assert {"toy.colour", "k8s"} <= {o["key"] for o in document["options"]}
    assert "toy.colour" in shell("plugins", "--options").stdout
