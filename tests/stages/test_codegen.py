"""Modules from overlays and generators, templates and units."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from stages.kept import kept, text

from k8sbuild.errors import CodegenError
from k8sbuild.stages.codegen import module, template, unit
from k8sbuild.testing import files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from k8sbuild.engine.context import StepContext

    Context = Callable[..., StepContext]

MODULES = "fetch:toy/zips"
SUMS = {"example.org/dep@v1.2.0": ["h1:aaaa=", "h1:bbbb="]}


def overlay(root: Path, name: str, tree: dict[str, str], **fields: Any) -> dict[str, Any]:
    files.write(root / name, tree)
    return {"plugin": "toy", "name": name, "local": f"toy/{name}", "into": "", "replaces": [], **fields}


def assemble(
    context: Context, root: Path, *overlays: dict[str, Any], generated: dict[str, bytes] | None = None
) -> StepContext:
    generators = ["codegen:toy/gen"] if generated else []
    params = {
        "path": "example.org/toy",
        "go": "1.24",
        "godebug": {"default": "go1.22"},
        "requires": {"example.org/dep": "v1.2.0", "k8s.io/kubernetes": "v1.31.4", "k8s.io/api": "v0.31.4"},
        "replaces": {"example.org/dep": ["example.org/fork", "v1.3.0"]},
        "local": {"k8s.io/kubernetes": "", "k8s.io/api": "k8s.io/kubernetes"},
        "sources": {"k8s.io/kubernetes": "patch:toy/kubernetes"},
        "modules": MODULES,
        "overlays": list(overlays),
        "generators": generators,
    }
    inputs = {MODULES: {"sums.json": json.dumps(SUMS).encode()}}
    inputs |= {"codegen:toy/gen": generated} if generated else {}
    ctx = context(params, inputs=inputs, local={o["local"]: root / o["name"] for o in overlays})
    module(ctx)
    return ctx


def test_a_module_has_overlays_generated_files_and_its_two_files(context: Context, tmp_path: Path) -> None:
    first = overlay(tmp_path, "first", {"main.go": "package main\n", "run.sh": "x"})
    (tmp_path / "first/run.sh").chmod(0o755)
    second = overlay(tmp_path, "second", {"x.go": "package x\n"}, into="pkg")
    ctx = assemble(context, tmp_path, first, second, generated={"zz.go": b"package main\n"})
    modes = {path: entry.mode for path, entry in kept(ctx).entries.items()}
    assert sorted(modes) == ["go.mod", "go.sum", "main.go", "pkg/x.go", "run.sh", "zz.go"]
    assert (modes["run.sh"], modes["main.go"]) == (0o755, 0o644)
    go_mod = text(ctx, "go.mod")
    assert "replace example.org/dep => example.org/fork v1.3.0" in go_mod.replace("\t", "replace ")
    assert "k8s.io/api => ../../../patch/toy/kubernetes/staging/src/k8s.io/api\n" in go_mod
    assert "k8s.io/kubernetes => ../../../patch/toy/kubernetes\n" in go_mod
    assert "default=go1.22" in go_mod
    assert text(ctx, "go.sum") == ("example.org/dep v1.2.0 h1:aaaa=\nexample.org/dep v1.2.0/go.mod h1:bbbb=\n")


def test_overlays_that_clash_name_both(context: Context, tmp_path: Path) -> None:
    first, second = (overlay(tmp_path, name, {"main.go": name}) for name in ("first", "second"))
    with pytest.raises(CodegenError, match=r"toy/second and toy/first both have the file main\.go") as caught:
        assemble(context, tmp_path, first, second)
    assert caught.value.reason == "overlay-clash"
    assert "Overlay.replaces of toy/second" in caught.value.hint


def test_an_overlay_that_says_so_replaces(context: Context, tmp_path: Path) -> None:
    first = overlay(tmp_path, "first", {"main.go": "first"})
    second = overlay(tmp_path, "second", {"main.go": "second"}, replaces=["main.go"])
    assert text(assemble(context, tmp_path, first, second), "main.go") == "second"


@pytest.mark.parametrize("replaces", ["mian.go"])
def test_replacing_nothing_is_an_error(context: Context, tmp_path: Path, replaces: str) -> None:
    with pytest.raises(CodegenError, match=r"replaces mian\.go, which no overlay has; did you mean 'main\.go'"):
        assemble(context, tmp_path, overlay(tmp_path, "first", {"main.go": "x"}, replaces=[replaces]))


def test_a_generator_must_not_write_over_an_overlay(context: Context, tmp_path: Path) -> None:
    with pytest.raises(CodegenError, match=r"codegen:toy/gen makes main\.go, which an overlay has too"):
        assemble(context, tmp_path, overlay(tmp_path, "first", {"main.go": "x"}), generated={"main.go": b"y"})


def write(context: Context, root: Path, text: str, values: dict[str, str], run: Any = template) -> Path:
    (root / "in").write_text(text)
    ctx = context({"file": "etc/toy", "values": values, "mode": 0o755}, local={"template": root / "in"})
    run(ctx)
    file: Path = ctx.out / "etc/toy"
    return file


def test_names_are_replaced(context: Context, tmp_path: Path) -> None:
    file = write(context, tmp_path, "a @NAME@ mail@example.org @NAME@@B2@ @low@\n", {"NAME": "@B2@", "B2": "x"})
    assert file.read_text() == "a @B2@ mail@example.org @B2@x @low@\n"
    assert file.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("x\n@NMAE@ @NAME@", {"NAME": "1"}, "in:2: no value for @NMAE@; did you mean 'NAME'"),
        ("@A@", {"A": "1", "B": "2", "C": "3"}, "in: never uses B, C"),
    ],
)
def test_unknown_and_unused_names(
    context: Context, tmp_path: Path, text: str, values: dict[str, str], said: str
) -> None:
    with pytest.raises(CodegenError, match=said) as caught:
        write(context, tmp_path, text, values)
    assert caught.value.reason == "template-name"


UNIT = "# a comment\n; another\n\n[Service]\nExecStart=/usr/bin/@NAME@ \\\n  --flag\nRestart=always\n"


def test_a_unit(context: Context, tmp_path: Path) -> None:
    assert "ExecStart=/usr/bin/toy" in write(context, tmp_path, UNIT, {"NAME": "toy"}, unit).read_text()


@pytest.mark.parametrize(("text", "line"), [("Restart=always\n[Service]\n", 1), ("[Service]\nRestart always\n", 2)])
def test_lines_that_are_not_a_units(context: Context, tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(CodegenError, match=f"etc/toy:{line}: not a unit file's line") as caught:
        write(context, tmp_path, text, {}, unit)
    assert caught.value.reason == "unit-syntax"
