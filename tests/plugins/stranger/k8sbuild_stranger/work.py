"""What the stranger's step and check do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.errors import ValidateError

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext


def card(ctx: StepContext) -> None:
    """Write ``card.txt``: the greeting, then what the added command prints."""
    said = ctx.exec([ctx.path(ctx.params["binary"]), "greet"])
    (ctx.out / "card.txt").write_text(f"{ctx.params['greeting']}, {said}", encoding="utf-8")


def no_cloud(ctx: StepContext) -> list[str]:
    """Check that the program knows no cloud provider, and that the card is whole."""
    said = ctx.exec([ctx.path(ctx.params["binary"]), "providers"]).strip()
    written = ctx.read(ctx.params["card"]).decode()
    if not said.startswith("[none] "):
        raise ValidateError(f"cloud providers are still linked: {said}", reason="cloud-linked")
    if not written.startswith(f"{ctx.params['greeting']}, "):
        raise ValidateError(f"the card says {written!r}", reason="bad-card")
    return [said, written.strip()]
