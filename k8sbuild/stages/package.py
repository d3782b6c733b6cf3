"""The package stage: deterministic archives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.stages import licences
from k8sbuild.stages.tar import compressed, epoch, placed, write_tar

if TYPE_CHECKING:
    from k8sbuild.engine.context import StepContext

__all__ = ["archive"]


def archive(ctx: StepContext) -> None:
    """Write ``params["file"]``: a tar with sorted members, one time, no owner; zstd with ``params["level"]``.

    The sum of the uncompressed tar is a fact, since compressed bytes depend on the zstd release.
    """
    p = ctx.params
    members = {**placed(ctx, p["members"], prefix=p["prefix"]), **licences.of_binaries(ctx)}
    with compressed(ctx.out / p["file"], level=p["level"], cores=ctx.cores) as packed:
        digest = write_tar(packed, members, epoch(p["date"]))
    ctx.facts["sums"] = {p["file"].removesuffix(".zst"): digest}
    ctx.facts["members"] = len(members)
