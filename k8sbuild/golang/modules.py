"""Module zips as they go into the store."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from .client import Downloaded, zip_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["pack"]


def pack(downloaded: Iterable[Downloaded], dest: Path) -> None:
    """Copy zip, .mod and a normalised .info of each module below ``dest``, as in a GOMODCACHE.

    Only version and time of the .info are kept: what else a proxy adds is its own.
    """
    for module in downloaded:
        target = zip_of(dest, module.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(module.zip, target)
        shutil.copyfile(module.mod, target.with_suffix(".mod"))
        target.with_suffix(".info").write_text(_info(module), encoding="utf-8")


def _info(module: Downloaded) -> str:
    fields = {"Version": module.version, **({"Time": module.time} if module.time else {})}
    return json.dumps(dict(sorted(fields.items())), separators=(",", ":"))
