"""The checks are seen to fail on a binary that links what is denied."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.engine.parts import GoParts
from k8sbuild.errors import ValidateError
from k8sbuild.golang.binary import build_info
from k8sbuild.stages import linked
from k8sbuild.testing import programs, steps

if TYPE_CHECKING:
    from pathlib import Path

    from k8sbuild.engine.context import StepContext
    from k8sbuild.engine.local import Files

PACKAGES = ("k8s.io/kubernetes/pkg/proxy/ipvs", "k8s.io/kubernetes/pkg/proxy/ipvs/util")
MODULES = ("github.com/moby/ipvs",)
FILES = {
    "go.mod": "module k8s.io/kubernetes\n\ngo 1.22\n\nrequire github.com/moby/ipvs v1.1.0\n\n"
    "replace github.com/moby/ipvs => ./ipvs\n",
    "ipvs/go.mod": "module github.com/moby/ipvs\n\ngo 1.22\n",
    "ipvs/ipvs.go": "package ipvs\n\n//go:noinline\nfunc New() int { return 1 }\n",
    "pkg/proxy/ipvs/proxier.go": 'package ipvs\n\nimport "github.com/moby/ipvs"\n\n'
    "//go:noinline\nfunc New() int { return ipvs.New() }\n",
    "cmd/unpatched/main.go": 'package main\n\nimport "k8s.io/kubernetes/pkg/proxy/ipvs"\n\n'
    "func main() { println(ipvs.New()) }\n",
    "pkg/kept/kept.go": "package kept\n\n//go:noinline\nfunc New() int { return 2 }\n",
    "cmd/patched/main.go": 'package main\n\nimport "k8s.io/kubernetes/pkg/kept"\n\n'
    "func main() { println(kept.New()) }\n",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return programs.compiled(tmp_path_factory.mktemp("module"), FILES)


def context(program: Path) -> Any:
    params = {"binary": "compile:x/k8s/k8s", "packages": PACKAGES, "modules": MODULES, "hint": "keep it"}
    return SimpleNamespace(params=params, path=lambda address: program)


def test_linked_package_is_found_by_its_functions(built: Path) -> None:
    with pytest.raises(ValidateError, match=r"k8s\.io/kubernetes/pkg/proxy/ipvs") as caught:
        linked.functions(context(built / "unpatched"))
    assert caught.value.reason == "denied-code-linked"
    assert caught.value.details["linked"] == ["k8s.io/kubernetes/pkg/proxy/ipvs"]
    assert caught.value.hint == "keep it"


def test_linked_module_is_found_in_the_build_info(built: Path) -> None:
    with pytest.raises(ValidateError, match=r"github\.com/moby/ipvs"):
        linked.modules(context(built / "unpatched"))


def test_clean_binary_passes_by_its_functions(built: Path) -> None:
    (fact,) = linked.functions(context(built / "patched"))
    assert fact.startswith(f"none of {len(PACKAGES)} denied packages")


def test_build_info_without_modules_proves_nothing(built: Path) -> None:
    with pytest.raises(ValidateError) as caught:
        linked.modules(context(built / "patched"))
    assert caught.value.reason == "no-build-info"


def prepared(tmp_path: Path, program: Path, *, release: str = "", declared: bool = True) -> StepContext:
    """A context as the engine makes it: the program, its module tree, a replaced source, zips, a toolchain."""
    module = {name: text for name, text in FILES.items() if not name.startswith("ipvs/")}
    module["go.mod"] = module["go.mod"].replace("./ipvs", "../../../patch/core/ipvs")
    go = f'#!/bin/sh\nunset GOROOT\nexec {programs.go()} "$@"\n'
    version = build_info(program).go

    def files(texts: dict[str, str], mode: int = 0o644) -> Files:
        return {name: (mode, text.encode()) for name, text in texts.items()}

    inputs = {
        "compile:x/k8s": {"k8s": (0o755, program.read_bytes())},
        "codegen:single-binary/server": files(module),
        "fetch:single-binary/server-modules": files({"cache/download/empty": ""}),
        "fetch:core/ipvs": files({"broken.go": "not the patched tree"}),
        "patch:core/ipvs": files(
            {name.removeprefix("ipvs/"): FILES[name] for name in FILES if name.startswith("ipvs/")}
        ),
        f"fetch:k8sbuild/{version}.linux-amd64": files({"bin/go": go}, 0o755),
    }
    parts = GoParts(
        zips="fetch:single-binary/server-modules",
        trees=("patch:core/ipvs",),
        toolchain=f"fetch:k8sbuild/{version}.linux-amd64",
        release=release or version,
        pinned=version,
    )
    return steps.context(
        tmp_path,
        {"binary": "compile:x/k8s/k8s", "packages": PACKAGES, "hint": "keep it"},
        name="validate:remove-cloud-providers/dependencies",
        inputs=inputs,
        env={},
        go_parts={"codegen:single-binary/server": parts} if declared else {},
    )


def test_linked_package_is_found_by_go_list(tmp_path: Path, built: Path) -> None:
    with pytest.raises(ValidateError, match=r"pkg/proxy/ipvs\b.*") as caught:
        linked.dependencies(prepared(tmp_path, built / "unpatched"))
    assert caught.value.details["linked"] == ["k8s.io/kubernetes/pkg/proxy/ipvs"]


def test_clean_program_passes_go_list(tmp_path: Path, built: Path) -> None:
    (fact,) = linked.dependencies(prepared(tmp_path, built / "patched"))
    assert fact.endswith("in go list -deps")


@pytest.mark.parametrize(
    ("reason", "given"), [("no-module", {"declared": False}), ("other-toolchain", {"release": "go1.1"})]
)
def test_what_cannot_be_listed_is_not_proved(tmp_path: Path, built: Path, reason: str, given: dict[str, Any]) -> None:
    ctx = prepared(tmp_path, built / "patched", **given)
    with pytest.raises(ValidateError) as caught:
        linked.dependencies(ctx)
    assert caught.value.reason == reason
