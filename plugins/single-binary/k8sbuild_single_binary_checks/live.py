"""The live check: boots the shipped binary, fills it, kills it, boots it again, stops it in order."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .objects import check, fill
from .servers import start
from .watches import watched

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

__all__ = ["boot"]


def boot(ctx: StepContext) -> None:
    """Boot in single mode, create objects, ``kill -9``, boot again, find them, stop with exit code 0."""
    binary = ctx.path(ctx.params["binary"])
    with tempfile.TemporaryDirectory(prefix="k8s-live-") as folder:
        data = Path(folder) / "data"
        with start(ctx, binary, data, "--server-mode=single") as server:
            ctx.facts["ready_seconds"] = round(server.ready_seconds, 2)
            fill(server)
            ctx.facts["rss_mib"] = server.rss()
            server.kill()
        with start(ctx, binary, data, "--server-mode=single") as server:
            ctx.facts["ready_again_seconds"] = round(server.ready_seconds, 2)
            check(server, ctx.params["k8s"])
            with watched(server):
                ctx.facts["stop_seconds"] = round(server.stop(), 2)
