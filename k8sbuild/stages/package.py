"""The package stage: deterministic archives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.stages import licences
from k8sbuild.stages.tar import placed, write_compressed

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

__all__ = ["archive"]


def archive(ctx: StepContext) -> None:
    """Write ``params["file"]``: a tar with sorted members, one time, no owner; zstd with ``params["level"]``."""
    p = ctx.params
    members = {**placed(ctx, p["members"], prefix=p["prefix"]), **licences.of_binaries(ctx)}
    write_compressed(ctx, members)
    ctx.facts["members"] = len(members)
