"""Why a module has its version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from k8sbuild.errors import UsageError
from k8sbuild.kinds import GoModule, GoReplace, GoRequire
from k8sbuild.modules import matching, reasons
from k8sbuild.resolve import Program

if TYPE_CHECKING:
    from conftest import Shell

PROGRAM = Program(
    plugin="single-binary",
    module=GoModule(name="distribution", path="k8sbuild.dev/distribution", go="1.22"),
    requires=(GoRequire(name="kine", path="example.org/kine", source="kine"),),
    replaces=(GoReplace(name="gnostic", path="example.org/gnostic", version="v0.6.8", why="as Kubernetes has it"),),
    sources={},
    modules=(
        ("example.org/kine", "v0.16.4", "example.org/kine", ""),
        ("example.org/gnostic", "v0.7.0", "example.org/gnostic", "v0.6.8"),
        ("example.org/sys", "v0.47.0", "example.org/sys", "v0.47.0"),
        ("example.org/plain", "v1.0.0", "example.org/plain", "v1.0.0"),
    ),
    raised=({"module": "example.org/sys", "kubernetes": "v0.21.0", "version": "v0.47.0", "by": "example.org/kine"},),
)


def test_each_module_says_why_it_differs() -> None:
    assert {row["module"].removeprefix("example.org/"): row["why"] for row in reasons(PROGRAM)} == {
        "kine": "required by kine; code of this build's patched source",
        "gnostic": "replaced: as Kubernetes has it; code of example.org/gnostic@v0.6.8",
        "sys": "raised from v0.21.0 by example.org/kine",
        "plain": "",
    }


def test_a_module_that_no_program_has_is_an_error_with_a_suggestion() -> None:
    rows = {"server": reasons(PROGRAM), "client": []}
    assert [len(found) for found in matching(rows, "sys").values()] == [1, 0]
    assert matching({}, "sys") == {}
    with pytest.raises(UsageError, match="did you mean 'plain'") as caught:
        matching(rows, "plian")
    assert caught.value.reason == "unknown-module"


def test_deps_of_a_target_without_go_say_so(shell: Shell) -> None:
    assert json.loads(shell("deps", "--format=json").stdout) == {"schema": "k8sbuild/deps/1", "programs": {}}
    assert "no Go program" in shell("deps").stdout


def test_setup_ends_with_what_doctor_says(shell: Shell) -> None:
    done = shell("setup", "--format=json")
    document = json.loads(done.stdout)
    assert document["toolchains"] == []
    assert done.returncode == (0 if all(finding["ok"] for finding in document["findings"]) else 23)
