"""The commands test and lint, on the fake upstream, with the real go."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from k8sbuild.testing.files import ledger
from k8sbuild.testing.project import Project

if TYPE_CHECKING:
    from pathlib import Path

NewProject = Callable[..., Project]

PLUGIN = """
from k8sbuild import hookimpl
from k8sbuild.kinds import Overlay, PluginInfo, Step

@hookimpl
def k8sbuild_plugin():
    return PluginInfo(name="mine", targets=("tiny",))

@hookimpl
def k8sbuild_codegen(build):
    yield Overlay(name="own", root="overlay")
    yield Step(name="linter", stage="codegen", run="mine:linter", outputs=("linter",))

def linter(ctx):
    program = ctx.out / "linter"
    program.write_text('#!/bin/sh\\necho "was given $*"\\ncase "$*" in *pkg/bad*) exit 1;; esac\\n')
    program.chmod(0o755)
"""

DOUBLE = """package own

// Double returns twice a number.
func Double(n int) int {
	if n == 0 {
		return 0
	}
	return 2 * n
}
"""

TESTS = """package own

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestBinary(t *testing.T) {
	binary := os.Getenv("TINY_BINARY")
	if binary == "" {
		t.Skip("SKIPPED: no binary")
	}
	if out, err := exec.Command(binary, "version").Output(); err != nil || !strings.HasPrefix(string(out), "v1.99.") {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestMinutes(t *testing.T) {
	if !testing.Short() {
		t.Skip("SKIPPED: in a long run")
	}
}

func TestDouble(t *testing.T) {
	if Double(2) != 4 {
		t.Error("2 is doubled badly")
	}
}

func TestLater(t *testing.T) { t.Skip("SKIPPED: there is no moon tonight") }
"""

PATCH = """--- a/pkg/cloud/cloud.go
+++ b/pkg/cloud/cloud.go
@@ -1,2 +1,3 @@
+// Licence: any.
 // Package cloud knows cloud providers; plugins remove it.
 package cloud
"""


@pytest.fixture
def project(new_project: NewProject, tmp_path: Path) -> Project:
    """Return a project whose plugin adds a package with a test."""
    base = new_project()
    env = {**base.env, "PYTHONPATH": os.pathsep.join([str(base.root / "site"), base.env["PYTHONPATH"]])}
    project = replace(base, env=env)
    project.write("site/mine/__init__.py", PLUGIN)
    project.write("site/mine-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    project.write("site/mine-1.dist-info/entry_points.txt", "[k8sbuild]\nmine = mine\n")
    overlay(project, "own.go", DOUBLE)
    overlay(project, "own_test.go", TESTS)
    return project


def overlay(project: Project, name: str, text: str) -> None:
    project.write(f"site/mine/overlay/pkg/own/{name}", text)


@pytest.mark.measured
def test_results_coverage_and_skips_are_listed(project: Project) -> None:
    outcome = project.run("test", "--no-race", "--format=json")
    assert outcome.code == 0, outcome
    report = outcome.json()
    (row,) = report["packages"]
    assert (row["package"], row["result"], row["coverage"]) == ("example.org/tiny/pkg/own", "pass", 66.6)
    assert 0 < report["coverage"] < row["coverage"]  # the command's package has no tests
    assert report["untested"] == ["example.org/tiny/cmd/server"]
    minutes, skip = report["skipped"]
    assert "TestMinutes" in minutes
    assert skip.startswith("example.org/tiny/pkg/own TestLater: ")
    assert skip.endswith("SKIPPED: there is no moon tonight")
    assert project.artifacts() == {}


def test_without_inputs_and_what_takes_minutes(project: Project) -> None:
    report = project.run("test", "--no-race", "--no-inputs", "--short", "--format=json").json()
    assert [text.split()[1] for text in report["skipped"]] == ["TestBinary:", "TestLater:"]


@pytest.mark.measured
def test_packages_below_the_wanted_coverage_are_named(project: Project) -> None:
    settings = ("--no-race", "--no-inputs", "--format=json", "--package=./pkg/...", "--set", "tiny.coverage=67")
    outcome = project.run("test", *settings)
    assert outcome.code == 20, outcome
    error = outcome.json()
    assert (error["reason"], error["details"]["below"]) == ("go-coverage", {"example.org/tiny/pkg/own": 66.6})
    # Some tests alone cover little, which is what was asked for.
    chosen = project.run("test", *settings, "--run=^TestDouble$")
    assert (chosen.code, chosen.json()["tests"]) == (0, 1), chosen


@pytest.mark.measured
def test_a_failing_test_is_named(project: Project) -> None:
    overlay(project, "own.go", DOUBLE.replace("2 * n", "3 * n"))
    outcome = project.run("test", "--no-race", "--format=json")
    assert outcome.code == 20, outcome
    error = outcome.json()
    assert error["reason"] == "go-test"
    assert error["details"]["tests"] == ["example.org/tiny/pkg/own TestDouble"]
    assert "2 is doubled badly" in error["message"]


def test_a_test_that_does_not_compile_is_no_success(project: Project) -> None:
    overlay(project, "own_test.go", 'package own\n\nvar _ int = "text"\n')
    outcome = project.run("test", "--no-race", "--format=json")
    assert outcome.code == 20, outcome
    assert "own_test.go:3" in outcome.json()["message"]


def test_packages_can_be_chosen(project: Project) -> None:
    outcome = project.run("test", "--format=json", "--package=./cmd/...")
    assert outcome.code == 0, outcome
    assert outcome.json()["packages"] == []


def test_lint_is_content_with_a_tidy_distribution(project: Project) -> None:
    outcome = project.run("lint", "--format=json")
    assert outcome.code == 0, outcome
    assert outcome.json()["ok"] is True


@pytest.mark.measured
def test_a_build_holds_its_own_code_to_the_same_and_lint_takes_the_result(project: Project) -> None:
    lint = "validate:tiny/server-lint"
    overlay(project, "own.go", DOUBLE.replace("2 * n", "2*  n"))
    error = project.run("build", "--format=json").json()
    assert (error["reason"], error["step"]) == ("gofmt", lint)
    assert project.artifacts() == {}
    overlay(project, "own.go", DOUBLE)
    assert project.run("build").code == 0
    # Reused where a test before this one had the same code.
    assert lint in {*project.steps("step-finished"), *project.steps("step-reused")}
    assert project.run("lint").code == 0
    assert project.steps("step-reused").count(lint) == 1
    # What is for another platform is looked at as such.
    plan = project.run("plan", "--arch=arm64", "--format=json").json()["steps"]
    assert {row["step"]: row["state"] for row in plan}[lint] != "reused"


@pytest.mark.measured
def test_lint_finds_what_gofmt_would_change(project: Project) -> None:
    overlay(project, "own.go", DOUBLE.replace("2 * n", "2*  n"))
    error = project.run("lint", "--format=json").json()
    assert (error["reason"], error["details"]["files"]) == ("gofmt", ["pkg/own/own.go"])


@pytest.mark.measured
def test_lint_finds_what_vet_finds(project: Project) -> None:
    overlay(project, "bad.go", 'package own\n\nimport "fmt"\n\nfunc bad() { fmt.Printf("%d", "text") }\n')
    error = project.run("lint", "--format=json").json()
    assert error["reason"] == "go-vet"
    assert "pkg/own/bad.go:5" in error["message"]


@pytest.mark.measured
def test_linters_get_the_packages_that_link_no_source_of_the_build(project: Project) -> None:
    settings = ("lint", "--format=json", "--set", "tiny.linters=codegen:mine/linter/linter")
    assert project.run(*settings).code == 0
    overlay(project, "../bad/bad.go", "package bad\n")
    error = project.run(*settings).json()
    assert error["reason"] == "go-lint"
    assert "was given example.org/tiny/pkg/bad example.org/tiny/pkg/own" in error["message"]


@pytest.mark.parametrize("command", ["lint", "build"])
def test_a_series_is_held_to_its_ledger(project: Project, command: str) -> None:
    project.write("k8sbuild.toml", 'target = "tiny"\n[patches]\nkubernetes = "patches/kubernetes"\n')
    project.write("patches/kubernetes/0001-more.patch", PATCH)
    outcome = project.run(command, "--format=json")
    assert outcome.code == 20, outcome
    assert outcome.json()["reason"] == "ledger"
    assert "0001-more.patch: has no entry in the ledger" in outcome.json()["message"]
    project.write("patches/kubernetes/ledger.toml", ledger("0001-more.patch"))
    assert project.run(command, "--format=json").code == 0
    # The day decides nothing about a build: the same inputs give the same tomorrow.
    project.write("patches/kubernetes/ledger.toml", f"{ledger('0001-more.patch')}expires = 2001-01-01\n")
    outcome = project.run(command, "--format=json")
    assert outcome.code == (20 if command == "lint" else 0), outcome
