"""The commands beside build and plan."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.tasks.verbs import COMMANDS

if TYPE_CHECKING:
    from conftest import Shell


def ask(shell: Shell, *words: str) -> dict[str, Any]:
    done = shell(*words, "--format=json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == f"k8sbuild/{words[0].removesuffix('-all')}/1"
    return document


def test_explain_says_what_changed_between_two_runs(shell: Shell) -> None:
    shell("build")
    shell("build", "--layers=2")
    step = ask(shell, "explain", "--step=paint")["steps"][0]
    assert (step["state"], step["why"]) == ("finished", "param:layers changed")
    assert step["changed"]["param:layers"] == ["1", "2"]
    assert "param:layers: 1 -> 2" in shell("explain").stdout


def test_explain_without_a_run_says_so(shell: Shell) -> None:
    done = shell("explain")
    assert (done.returncode, "[no-run]" in done.stderr) == (11, True)


def test_install_into_an_empty_root_is_a_mistake(shell: Shell) -> None:
    done = shell("install", "--root=")
    assert (done.returncode, "--root is empty" in done.stderr) == (11, True)


def test_doctor_gives_findings_and_an_exit_code(shell: Shell) -> None:
    done = shell("doctor", "--format=json")
    findings = json.loads(done.stdout)["findings"]
    assert "plugin toy" in {finding["name"] for finding in findings}
    assert done.returncode == (0 if all(finding["ok"] for finding in findings) else 23)


def test_versions_say_what_a_build_uses(shell: Shell) -> None:
    document = ask(shell, "versions")
    assert document["build"]["k8s"] == "v1.31.4"
    assert document["plugins"] == {"toy": "1.0"}
    assert "kubernetes@v1.31.4" in shell("versions").stdout


def test_lock_completes_and_checks(shell: Shell) -> None:
    assert ask(shell, "lock")["complete"] is True
    assert "has everything" in shell("lock", "--check").stdout


def test_clean_removes_artifacts_and_clean_all_the_history(shell: Shell) -> None:
    shell("build")
    assert "would remove dist/artifacts" in shell("clean", "--dry").stdout
    assert str(shell.folder / "dist/artifacts") in ask(shell, "clean")["removed"]
    assert (shell.folder / ".k8sbuild/runs").exists()
    assert str(shell.folder / ".k8sbuild/runs") in ask(shell, "clean-all", "--dry")["removed"]
    assert (shell.folder / ".k8sbuild/runs").exists()
    ask(shell, "clean-all")
    assert not (shell.folder / ".k8sbuild/runs").exists()
    assert "nothing to remove" in shell("clean").stdout


def test_clean_keeps_results(shell: Shell) -> None:
    shell("build")
    shell("clean")
    assert {s["state"] for s in ask(shell, "build")["steps"]} == {"reused"}


def test_gc_tells_before_it_removes(shell: Shell) -> None:
    shell("build")
    assert ask(shell, "gc", "--dry")["dry_run"] is True
    assert ask(shell, "gc", "--max-age=30")["trees"] == []
    assert shell("gc", "--max-age=old").returncode == 11


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_of_a_command_is_one_short_line(command: Any) -> None:
    assert len(command.help) <= 50
    assert "\n" not in command.help
    names = [item.flag for item in (*command.declared(), *command.flags())]
    assert len(names) == len(set(names))
