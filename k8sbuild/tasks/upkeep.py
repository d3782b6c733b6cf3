"""Commands that remove things."""

from __future__ import annotations

import time
from dataclasses import asdict

from .command import Answer, Call

__all__ = ["clean", "gc"]


def clean(call: Call, *, everything: bool = False) -> Answer:
    """Remove artifacts and work trees of this project, with ``everything`` its run logs too."""
    from k8sbuild import api
    from k8sbuild.report.table import near

    removed = api.clean(call.request, everything=everything)
    text = "\n".join(f"removed {near(folder)}" for folder in removed) or "nothing to remove"
    return Answer(kind="clean", data={"removed": removed}, text=lambda: text)


def gc(call: Call, *, dry_run: bool = False) -> Answer:
    """Remove from the store what was not used for ``--max-age`` days, then down to ``--max-size`` GB."""
    from k8sbuild.config import cache_folder
    from k8sbuild.report.words import size
    from k8sbuild.store.gc import gc as collect
    from k8sbuild.store.store import Store

    limit = int(call.own["max-size"])
    report = collect(
        Store(cache_folder(call.request.env) / "store"),
        max_age_days=float(call.own["max-age"]),
        max_bytes=limit * 10**9 if limit else None,
        now=time.time(),
        dry_run=dry_run,
    )
    verb = "would free" if dry_run else "freed"
    text = f"{verb} {size(report.freed)} in {len(report.trees)} trees; {size(report.kept)} stay"
    return Answer(kind="gc", data={**asdict(report), "dry_run": dry_run}, text=lambda: text)
