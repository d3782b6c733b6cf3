"""Checks of the validate stage: what was removed from a program's code is really not linked.

Three witnesses, since each sees something else: ``go list -deps`` of the prepared
tree (also packages of constants only), the modules in the binary's build info,
and the function names in the binary itself, which no build step can pretend.
:func:`k8sbuild.upstream.unlinked` declares all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.errors import ValidateError
from k8sbuild.golang.binary import BuildInfo, build_info, function_packages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8sbuild.engine.context import StepContext

__all__ = ["dependencies", "functions", "modules", "refuse_linked"]


def refuse_linked(found: Iterable[str], denied: Iterable[str], *, what: str, where: str, hint: str) -> list[str]:
    """Return one fact when nothing denied was found.

    Args:
        found: what is linked: packages or modules.
        denied: what must not be.
        what: ``packages`` or ``modules``.
        where: the witness, for the message.
        hint: how to keep what is denied.

    Raises:
        ValidateError: ``denied-code-linked``.

    >>> refuse_linked(["fmt"], ["k8s.io/cloud-provider/volume"], what="packages", where="the binary", hint="")
    ['none of 1 denied packages among 1 in the binary']
    """
    have, deny = set(found), set(denied)
    if linked := sorted(have & deny):
        raise ValidateError(
            f"{len(linked)} denied {what} in {where}:\n" + "\n".join(f"  {name}" for name in linked),
            reason="denied-code-linked",
            hint=hint,
            details={"linked": linked},
        )
    return [f"none of {len(deny)} denied {what} among {len(have)} in {where}"]


def modules(ctx: StepContext) -> list[str]:
    """Check the modules that the binary's build info lists."""
    info = build_info(ctx.path(ctx.params["binary"]))
    if not info.modules:
        raise ValidateError("the binary's build info lists no modules: nothing can be proved", reason="no-build-info")
    return _refuse(ctx, "modules", (module.path for module in info.modules), "the binary")


def functions(ctx: StepContext) -> list[str]:
    """Check the packages of all functions in the binary."""
    packages = function_packages(ctx.path(ctx.params["binary"]))
    return _refuse(ctx, "packages", packages, "the binary")


def dependencies(ctx: StepContext) -> list[str]:
    """Check what ``go list -deps`` says of the program in the prepared tree, with the binary's own settings."""
    info = build_info(ctx.path(ctx.params["binary"]))
    settings = info.settings
    cgo = settings.get("CGO_ENABLED") == "1"
    go = ctx.go(_module(ctx, info), os=settings["GOOS"], arch=settings["GOARCH"], cgo=cgo)
    if go.parts.release != info.go:
        raise ValidateError(f"the build has no toolchain {info.go}, which made the binary", reason="other-toolchain")
    tags = settings.get("-tags", "")
    # A module without zips has the code of others in its own tree.
    mode = "readonly" if go.parts.zips else "vendor"
    output = go("list", f"-mod={mode}", *([f"-tags={tags}"] if tags else []), "-deps", info.path)
    packages = [line for line in output.splitlines() if line and " " not in line]
    return _refuse(ctx, "packages", packages, "go list -deps")


def _refuse(ctx: StepContext, what: str, found: Iterable[str], where: str) -> list[str]:
    return refuse_linked(found, ctx.params[what], what=what, where=where, hint=ctx.params["hint"])


def _module(ctx: StepContext, info: BuildInfo) -> str:
    """Return the address of the Go module that the program is of."""
    path = info.main.path if info.main else ""
    for address in ctx.go_modules:
        if f"module {path}" in ctx.read(f"{address}/go.mod").decode().splitlines():
            return address
    raise ValidateError(f"no prepared Go module is {path!r}", reason="no-module", hint="`k8sbuild plan` lists them")
