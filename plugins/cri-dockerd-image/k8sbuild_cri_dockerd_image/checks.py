"""What must hold of the image before anybody starts it."""

from __future__ import annotations

import json
import posixpath
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from k8sbuild.errors import ValidateError
from k8sbuild.stages.base import base_of, inside_root, opened, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.engine.context import StepContext
    from k8sbuild.stages.base import Layer

__all__ = ["base", "base_programs", "size"]

#: Where programs are looked for in an image.
_FOLDERS = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin")


def base_programs(ctx: StepContext) -> None:
    """Write ``programs.json``: the names of what is in the folders for programs of a base."""
    p = ctx.params
    found: set[str] = set()
    with TemporaryDirectory(dir=ctx.out) as scratch, refusals(f"{ctx.name}: the base {p['base']}"):
        for layer in base_of(ctx, p["base"], p["platform"], Path(scratch)).layers:
            found |= set(_names(layer))
    (ctx.out / "programs.json").write_text(json.dumps(sorted(found)), encoding="utf-8")


def _names(layer: Layer) -> Iterator[str]:
    assert isinstance(layer.blob.content, Path)
    with opened(layer.blob.content) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for info in tar:
            folder, name = posixpath.split(inside_root(info.name))
            if folder in _FOLDERS:
                yield name


def base(ctx: StepContext) -> list[str]:
    """Check that the base has what the kubelet and its runtime run."""
    there = set(json.loads(ctx.read(ctx.params["programs"])))
    missing = [name for name in ctx.params["wanted"] if name not in there]
    if missing:
        raise ValidateError(
            f"the base {ctx.params['base']} lacks {', '.join(missing)}",
            reason="base-lacks",
            hint="another --runtime, or --base=debian, which has all of it",
        )
    return [f"{len(ctx.params['wanted'])} programs"]


def size(ctx: StepContext) -> list[str]:
    """Check how much the image adds to its base."""
    total = sum(entry.size for address in ctx.params["files"] for entry in ctx.tree(address).entries.values())
    limit = ctx.params["max_size"] * 2**20
    if total > limit:
        raise ValidateError(
            f"the image adds {total / 2**20:.1f} MiB to its base, more than {ctx.params['max_size']} MiB",
            reason="static-check",
            hint="--set cri-dockerd-image.max-size=N raises the budget",
        )
    return [f"{total / 2**20:.1f} MiB over the base"]
