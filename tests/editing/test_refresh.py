"""Edit trees on the fake upstream: laid out, changed, turned into patches, opened in a shell."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.testing.project import Project

if TYPE_CHECKING:
    from pathlib import Path

NewProject = Callable[..., Project]

CONFIG = '[patches]\nkubernetes = "patches/kubernetes"\n'
CLOUD = "pkg/cloud/cloud.go"


@pytest.fixture
def project(new_project: NewProject) -> Project:
    made = new_project(config=CONFIG)
    (made.root / "patches/kubernetes").mkdir(parents=True)
    return made


def ask(project: Project, *words: str, code: int = 0) -> Any:
    outcome = project.run(*words, "--format=json")
    assert outcome.code == code, outcome
    return outcome.json()


def started(project: Project) -> Path:
    ask(project, "patch-refresh", "--start")
    return project.root / ".k8sbuild/edit/kubernetes"


def change(tree: Path, old: str = "linked.", new: str = "linked here.") -> None:
    text = (tree / CLOUD).read_text()
    assert old in text
    (tree / CLOUD).write_text(text.replace(old, new))


@pytest.mark.measured
def test_changes_become_a_patch_that_the_build_applies(project: Project) -> None:
    tree = started(project)
    change(tree)
    (tree / "pkg/cloud/more.go").write_text("package cloud\n")
    (tree / "pkg/cloud/cloud.go.orig").write_text("left by a tool\n")
    made = ask(project, "patch-refresh", "--name=say-here", "--why=it was not clear where")
    assert made["files"] == [CLOUD, "pkg/cloud/more.go"]
    series = project.root / "patches/kubernetes"
    assert (series / "series").read_text() == "0001-say-here.patch\n"
    patch = (series / "0001-say-here.patch").read_text()
    assert "+// Names returns the providers that are linked here.\n" in patch
    assert "orig" not in patch
    entry = tomllib.loads((series / "ledger.toml").read_text())["0001-say-here.patch"]
    assert entry["why"] == "it was not clear where"
    assert entry["applies-to"] == ">=1.99.3,<1.100"
    assert ask(project, "patch")["steps"][-1]["state"] == "reused"


def test_the_next_patch_has_only_the_next_changes(project: Project) -> None:
    tree = started(project)
    change(tree)
    ask(project, "patch-refresh", "--name=first")
    change(tree, "linked here.", "linked there.")
    ask(project, "patch-refresh", "--name=second")
    series = project.root / "patches/kubernetes"
    assert (series / "series").read_text() == "0001-first.patch\n0002-second.patch\n"
    assert "-// Names returns the providers that are linked here.\n" in (series / "0002-second.patch").read_text()
    error = ask(project, "lint", code=20)
    assert "0001-first.patch: why is empty" in error["message"]


def test_a_build_reads_no_edit_tree(project: Project) -> None:
    ask(project, "patch")
    change(started(project))
    steps = ask(project, "patch")["steps"]
    assert {step["state"] for step in steps} == {"reused"}


@pytest.mark.measured
def test_start_keeps_what_is_in_no_patch_yet(project: Project) -> None:
    tree = started(project)
    change(tree)
    error = ask(project, "patch-refresh", "--start", code=11)
    assert error["reason"] == "edit-tree-changed"
    assert "linked here." in (tree / CLOUD).read_text()


def test_what_cannot_be_refreshed_is_named(project: Project) -> None:
    started(project)
    for words, reason in (
        (["--source=nothing"], "no-edit-tree"),
        (["--name=Bad Name"], "bad-value"),
        (["--source=../up"], "bad-value"),
        ([], "nothing-changed"),
    ):
        assert ask(project, "patch-refresh", *words, code=11)["reason"] == reason, words


@pytest.mark.measured
def test_the_first_patch_makes_the_folder_that_is_named(project: Project) -> None:
    series = project.root / "patches/kubernetes"
    series.rmdir()
    error = ask(project, "plan", code=16)
    assert error["reason"] == "series-missing"
    assert "k8sbuild patch-refresh --start --source=kubernetes" in error["hint"]
    tree = started(project)
    assert series.is_dir()
    series.rmdir()
    change(tree)
    ask(project, "patch-refresh", "--name=first")
    assert (series / "0001-first.patch").is_file()


@pytest.mark.parametrize("words", [["--start"], []])
def test_a_plugin_that_is_not_installed_is_named(project: Project, words: list[str]) -> None:
    error = ask(project, "patch-refresh", *words, "--plugin=tinny", code=13)
    assert (error["reason"], error["message"].partition("; ")[2]) == ("unknown-plugin", "did you mean 'tiny'?")
    assert not (project.root / ".k8sbuild/edit").exists()


def test_what_fails_leaves_the_lock_as_it_was(project: Project) -> None:
    lock = project.root / "k8sbuild.lock"
    assert ask(project, "patch-refresh", "--start", "--source=nothing", code=21)["reason"] == "unknown-source"
    assert not lock.exists()
    tree = started(project)
    whole = lock.read_text()
    change(tree)
    (tree / "go.mod").write_text((tree / "go.mod").read_text() + "\n// more\n")
    lock.unlink()
    assert ask(project, "patch-refresh", code=16)["reason"] == "patch-go-mod"
    assert not lock.exists()
    (tree / "go.mod").write_text((tree / "go.mod").read_text().replace("\n// more\n", ""))
    ask(project, "patch-refresh")
    assert lock.read_text() == whole, "what went well is locked"


def test_a_plugin_without_a_series_is_named(project: Project) -> None:
    change(started(project))
    error = ask(project, "patch-refresh", "--plugin=tiny", code=11)
    assert error["reason"] == "no-series"
    assert "[patches] kubernetes" in error["hint"]


def test_a_patch_that_no_series_may_have_leaves_nothing_behind(project: Project) -> None:
    tree = started(project)
    (tree / "go.mod").write_text((tree / "go.mod").read_text() + "\n// more\n")
    assert ask(project, "patch-refresh", code=16)["reason"] == "patch-go-mod"
    assert list((project.root / "patches/kubernetes").iterdir()) == []


@pytest.mark.measured
def test_a_command_runs_in_the_edit_tree_with_its_code(project: Project) -> None:
    tree = started(project)
    change(tree, '"mist"', '"haze"')
    script = 'test "$GOPROXY" != off && cd "$K8SBUILD_MODULE" && go run ./cmd/server providers >../said'
    assert ask(project, "shell", f"--command={script}")["exit_code"] == 0
    assert "haze" in (tree.parent / "said").read_text()
    assert project.run("shell", "--command=exit 7").code == 7
