"""No code of the server ends the process by itself: the edits, and the proof on a binary."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from k8sbuild_single_binary import exits
from k8sbuild_single_binary_checks import binary

from k8sbuild.errors import ValidateError
from k8sbuild.testing import programs

if TYPE_CHECKING:
    from pathlib import Path

PARAMS = {"binary": "b", "enders": exits.ENDERS, "denied": exits.DENIED, "except": exits.EXCEPT}
FILES = {
    "go.mod": "module k8s.io\n\ngo 1.22\n",
    "kubernetes/pkg/kubelet/kubelet.go": 'package kubelet\n\nimport "os"\n\n//go:noinline\nfunc Run() { os.Exit(1) }\n',
    "kubectl/pkg/cmd/cmd.go": 'package cmd\n\nimport "os"\n\n//go:noinline\nfunc Run() { os.Exit(1) }\n',
    "cmd/unpatched/main.go": 'package main\n\nimport "k8s.io/kubernetes/pkg/kubelet"\n\n'
    "func main() { kubelet.Run() }\n",
    "cmd/patched/main.go": 'package main\n\nimport "k8s.io/kubectl/pkg/cmd"\n\nfunc main() { cmd.Run() }\n',
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return programs.compiled(tmp_path_factory.mktemp("module"), FILES)


def context(program: Path) -> Any:
    return SimpleNamespace(params=PARAMS, path=lambda address: program, facts={})


def test_the_check_fails_on_an_unpatched_binary(built: Path) -> None:
    with pytest.raises(ValidateError) as caught:
        binary.exits(context(built / "unpatched"))
    assert caught.value.reason == "process-exit"
    assert "k8s.io/kubernetes/pkg/kubelet.Run calls os.Exit" in caught.value.message


def test_kubectl_may_end_its_own_process(built: Path) -> None:
    ctx = context(built / "patched")
    binary.exits(ctx)
    assert ctx.facts["callers"]["os.Exit"]


def test_every_edit_says_why_and_what_it_counts() -> None:
    edits = list(exits.edits())
    assert {edit.name: edit.count for edit in edits if edit.count > 1} == {"kubelet-exits": 12}
    assert all(edit.why for edit in edits)
    assert len({edit.name for edit in edits}) == len(edits)
