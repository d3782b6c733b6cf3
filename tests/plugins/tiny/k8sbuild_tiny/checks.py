"""The checks of the tiny distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.errors import ValidateError

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext


def version(ctx: StepContext) -> list[str]:
    """Check the version that ldflags set."""
    said = ctx.exec([ctx.path(ctx.params["binary"]), "version"]).strip()
    if not said.startswith(f"{ctx.params['k8s']} "):
        raise ValidateError(f"tiny says {said!r}, not {ctx.params['k8s']}", reason="wrong-version")
    return [said]


def ready(ctx: StepContext) -> list[str]:
    """Check that the server answers ``/readyz``."""
    said = ctx.exec([ctx.path(ctx.params["binary"]), "selftest"]).strip()
    if not said.endswith("ok"):
        raise ValidateError(f"tiny is not ready: {said!r}", reason="not-ready")
    return [said]
