"""Static facts of the shipped binary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.errors import ValidateError
from k8sbuild.golang.binary import build_info, elf_machine, is_static
from k8sbuild.golang.calls import callers, package_of

if TYPE_CHECKING:
    from pathlib import Path

    from k8sbuild.engine.context import StepContext

__all__ = ["exits", "static"]

_PART = 1 << 20


def static(ctx: StepContext) -> None:
    """Hold a binary to: static linking, machine, size budget, version strings."""
    path = ctx.path(ctx.params["binary"])
    p = ctx.params
    failures = [
        *_linking(path), *_machine(path, p["arch"]), *_size(path, p["max_size"]), *_strings(path, p["strings"])
    ]  # fmt: skip
    if failures:
        raise ValidateError(f"{path.name}: " + "; ".join(failures), reason="static-check")
    info = build_info(path)
    ctx.facts.update(size=path.stat().st_size, go=info.go, modules=len(info.modules), machine=p["arch"])


def exits(ctx: StepContext) -> None:
    """Prove by the machine code that no code of the server ends the process by itself.

    ``params``: ``enders`` are functions that end it, ``denied`` starts of import
    paths from which none of them may be called, ``except`` starts that may.

    Raises:
        ValidateError: ``process-exit``, naming the callers.
    """
    found = callers(ctx.path(ctx.params["binary"]), ctx.params["enders"])
    denied, allowed = tuple(ctx.params["denied"]), tuple(ctx.params["except"])
    calls = [
        f"{caller} calls {ender}"
        for ender, names in found.items()
        for caller in names
        if (package := package_of(caller) + "/").startswith(denied) and not package.startswith(allowed)
    ]
    if calls:
        raise ValidateError(
            "\n".join(["the server's code ends the process without an orderly stop", *calls]),
            reason="process-exit",
            hint="replace the call by klog.FlushAndExit, which the server turns into the component's failure",
            details={"calls": calls},
        )
    ctx.facts["callers"] = {ender: len(names) for ender, names in found.items()}


def _linking(path: Path) -> list[str]:
    return [] if is_static(path) else ["it is linked dynamically"]


def _machine(path: Path, arch: str) -> list[str]:
    found = elf_machine(path)
    return [] if found == arch else [f"it is for {found}, not {arch}"]


def _size(path: Path, most: int) -> list[str]:
    size = path.stat().st_size
    return [] if size <= most << 20 else [f"{size} bytes are more than the budget of {most} MiB (max-size)"]


def _strings(path: Path, wanted: list[str]) -> list[str]:
    """Look for texts part by part: a mapped file that is read whole counts as memory of this process."""
    missing = {text: text.encode() for text in wanted}
    longest = max(map(len, missing.values()), default=1)
    end = b""
    with path.open("rb") as file:
        while missing and (part := file.read(_PART)):
            data = end + part
            missing = {text: code for text, code in missing.items() if code not in data}
            end = data[-longest:]
    return [f"it does not say {text!r}" for text in missing]
