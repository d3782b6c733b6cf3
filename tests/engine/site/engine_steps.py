"""Functions that the steps of the engine's tests run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.errors import CompileError, UsageError, ValidateError

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext


def write(ctx: StepContext) -> None:
    """Write each parameter as a file."""
    for name, text in ctx.params.items():
        (ctx.out / name).parent.mkdir(parents=True, exist_ok=True)
        (ctx.out / name).write_text(text)


def initial(ctx: StepContext) -> None:
    """Write a text's first letter: many texts, one output."""
    (ctx.out / "one").write_text(ctx.params["text"][0])
    (ctx.out / "two").write_text(ctx.params.get("other", ""))


def join(ctx: StepContext) -> None:
    """Write all that is named in ``reads``, by a command, and remember a fact."""
    paths = ctx.paths(ctx.params["reads"])
    (ctx.out / "all").write_text(ctx.exec(["cat", *paths]))
    ctx.facts["read"] = len(paths)


def read(ctx: StepContext) -> None:
    """Read from the store what is named in ``reads``."""
    (ctx.out / "all").write_bytes(b"".join(ctx.read(address) for address in ctx.params["reads"]))


def nothing(ctx: StepContext) -> None:
    """Make no output."""


def twice(ctx: StepContext) -> None:
    """Ask where an input is, change it there, and ask again: it would be put back if it were laid out again."""
    path = ctx.path(ctx.params["reads"])
    path.write_text("changed")
    (ctx.out / "all").write_text(ctx.path(ctx.params["reads"]).read_text())
    assert (ctx.out / "all").read_text() == "changed"


def luck(ctx: StepContext) -> None:
    """Write something else each time."""
    (ctx.out / "all").write_bytes(os.urandom(8))


def place(ctx: StepContext) -> None:
    """Write where an input lies."""
    (ctx.out / "all").write_text(str(ctx.path("compile:toy/one")))


def stumble(ctx: StepContext) -> None:
    """Fail as long as a file is missing."""
    if not Path(ctx.params["until"]).exists():
        raise CompileError("not yet", reason="not-yet")
    nothing(ctx)


def crash(ctx: StepContext) -> None:
    """Raise what is no error of ours."""
    raise ValueError("oops")


def fail(ctx: StepContext) -> None:
    """Run a command that fails."""
    ctx.exec(["sh", "-c", "echo before; echo why >&2; exit 3"])


def command(ctx: StepContext) -> None:
    """Run a command."""
    ctx.exec(ctx.params["argv"])


def serve(ctx: StepContext) -> None:
    """Run a command as a server."""
    with ctx.running(ctx.params["argv"]):
        pass


def meet(ctx: StepContext) -> None:
    """Write an output and a line of the log, leave a mark and wait for the other's."""
    folder = Path(ctx.params["folder"])
    (ctx.out / ctx.params["mine"]).write_text("mine")
    ctx.log(ctx.params["mine"])
    (folder / ctx.params["mine"]).touch()
    end = time.monotonic() + 10
    while not (folder / ctx.params["other"]).exists():
        if time.monotonic() > end:
            raise CompileError(f"{ctx.params['other']} never came", reason="alone")
        time.sleep(0.01)


def fail_after(ctx: StepContext) -> None:
    """Fail once another step has begun."""
    ctx.exec(["sh", "-c", f"until [ -s {ctx.params['other']} ]; do sleep 0.02; done; exit 3"])


def slow(ctx: StepContext) -> None:
    """Say that it began, and take a while."""
    with Path(ctx.params["began"]).open("a") as file:
        file.write("x")
    time.sleep(0.5)


def sleep(ctx: StepContext) -> None:
    """Run a command that runs another one for a long time."""
    ctx.exec(["sh", "-c", f"sleep 60 & echo $! > {ctx.params['pid']}; wait"])


def check(ctx: StepContext) -> list[str]:
    """Find something, or fail."""
    if ctx.params.get("bad"):
        raise ValidateError("it is bad", reason="bad")
    ctx.warn("looked")
    ctx.progress("things", 1, 1)
    ctx.log("a line")
    return ["fine", ctx.env["HOME"].rpartition("/")[2], str(ctx.params.get("live")), str(sorted(ctx.params))]


def whisper(ctx: StepContext) -> None:
    """Say a secret everywhere, and fail if that is wanted."""
    ctx.exec(["sh", "-c", "printf %s $TOKEN > all"])
    token = (ctx.out / "all").read_text()
    said = ctx.exec(["sh", "-c", "echo $TOKEN; echo of $1", "sh", token])
    ctx.log(token)
    ctx.warn(token)
    ctx.facts["said"] = [said, token]
    (ctx.out / "all").write_text(str(len(token)))
    if ctx.params.get("fail"):
        ctx.exec(["sh", "-c", "echo $TOKEN; exit 3"])


def look(value: str) -> None:
    """Look at an option's value: refuse one, stumble over another."""
    if value == "wrong":
        raise UsageError("this is wrong", reason="bad-value")
    assert value != "odd", "oops"
