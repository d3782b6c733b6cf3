"""Module zips as they go into and come out of the store."""

from __future__ import annotations

import json
import shutil
import zipfile
from typing import TYPE_CHECKING

from k8sbuild.errors import FetchError

from .client import Downloaded, escape
from .dirhash import hash_mod, hash_zip

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["pack", "verify"]


def folder_of(path: str) -> str:
    """Return where a module's files lie below a GOMODCACHE or in a file-system proxy of it."""
    return f"cache/download/{escape(path)}/@v"


def pack(downloaded: Iterable[Downloaded], dest: Path) -> None:
    """Copy zip, .mod and a normalised .info of each module below ``dest``, as in a GOMODCACHE.

    Only version and time of the .info are kept: what else a proxy adds is its own.
    """
    for module in downloaded:
        folder = dest / folder_of(module.path)
        folder.mkdir(parents=True, exist_ok=True)
        base = escape(module.version)
        shutil.copyfile(module.zip, folder / f"{base}.zip")
        shutil.copyfile(module.mod, folder / f"{base}.mod")
        (folder / f"{base}.info").write_text(_info(module), encoding="utf-8")


def _info(module: Downloaded) -> str:
    fields = {"Version": module.version, **({"Time": module.time} if module.time else {})}
    return json.dumps(dict(sorted(fields.items())), separators=(",", ":"))


def verify(root: Path, name: str, zip_sum: str, mod_sum: str) -> None:
    """Hold a module's files below ``root`` (as :func:`pack` lays them out) against the locked sums.

    Args:
        root: a GOMODCACHE or a folder that :func:`pack` wrote.
        name: ``path@version``.
        zip_sum, mod_sum: ``h1:`` sums; an empty one is not checked.

    Raises:
        FetchError: reason ``digest-mismatch``, with expected and found.
    """
    path, _, version = name.partition("@")
    base = root / folder_of(path) / escape(version)
    found_zip = _zip_sum(base.with_name(f"{base.name}.zip")) if zip_sum else ""
    found_mod = hash_mod(base.with_name(f"{base.name}.mod").read_bytes()) if mod_sum else ""
    for what, want, have in (("zip", zip_sum, found_zip), ("go.mod", mod_sum, found_mod)):
        if want != have:
            raise FetchError(
                f"{name}: {what}: expected {want}, found {have}",
                reason="digest-mismatch",
                details={"module": name, "expected": want, "found": have},
            )


def _zip_sum(path: Path) -> str:
    try:
        return hash_zip(path)
    except (zipfile.BadZipFile, EOFError) as error:
        return f"a damaged zip ({error})"
