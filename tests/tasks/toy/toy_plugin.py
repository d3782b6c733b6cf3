"""A plugin that needs no network and no Go: one file, written, packed and checked."""

import os
from pathlib import Path

from k8sbuild import hookimpl
from k8sbuild.errors import CompileError, ValidateError
from k8sbuild.kinds import Check, Option, PluginInfo, Step, Target


@hookimpl
def k8sbuild_plugin():
    return PluginInfo(name="toy", targets=("toy",))


@hookimpl
def k8sbuild_targets():
    yield Target(
        name="toy", help="a toy", artifacts={"toy{suffix}": "compile:toy/paint/toy"}, defaults={"k8s": "v1.31.4"}
    )


@hookimpl
def k8sbuild_options():
    if os.environ.get("TOY_BROKEN_OPTIONS"):
        raise RuntimeError("toy is broken")
    yield Option(name="colour", help="what to paint with", default="red", flag="--colour", choices=("red", "blue"))
    yield Option(name="layers", help="coats of paint", type="int", default=1, flag="--layers", env=("TOY_LAYERS",))
    yield Option(name="words", help="what to write on it", type="list")


@hookimpl
def k8sbuild_compile(build):
    params = {"colour": build.option("colour"), "layers": build.option("layers"), "words": build.option("words")}
    yield Step(name="paint", stage="compile", run="toy_plugin:paint", outputs=("toy",), params=params)


@hookimpl
def k8sbuild_validate(build):
    yield Check(name="dry", run="toy_plugin:dry", inputs=("compile:toy/paint/toy",))


def paint(ctx):
    """Write the toy; the environment of the tests tells it to fail or to wait."""
    wait = os.environ.get("TOY_WAIT")
    if wait:
        Path(wait).touch()
        ctx.exec(["sleep", "30"])
    if ctx.params["colour"] == "blue":
        raise CompileError("no blue paint is left", reason="no-paint", hint="--colour=red", log="/nowhere/paint.log")
    for done in range(1, 4):
        ctx.progress("packages", done, 3)
    ctx.warn("the paint smells")
    (ctx.out / "toy").write_text(f"{ctx.params['colour']} {ctx.params['layers']} {'+'.join(ctx.params['words'])}\n")


def dry(ctx):
    if not ctx.read("compile:toy/paint/toy"):
        raise ValidateError("the toy is empty", reason="empty-toy")
