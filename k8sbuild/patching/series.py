"""A folder of patches in its order."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..errors import PatchError, suggest
from .model import Patch
from .parse import parse

__all__ = ["read_series"]


def read_series(folder_name: str, files: Mapping[str, bytes], only: Collection[str] | None = None) -> tuple[Patch, ...]:
    """Return the patches of a folder: by its ``series`` file, else in alphabetical order."""
    present = sorted(name for name in files if name.endswith(".patch"))
    listed = _listed(files["series"]) if "series" in files else present
    for name in [*listed, *(only or ())]:
        if name not in files:
            raise PatchError(f"{folder_name}: {name} is not there{suggest(name, present)}", reason="series-missing-file")
    for name in present:
        if name not in listed:
            raise PatchError(f"{folder_name}/{name} is not in the series", reason="series-orphan")
    wanted = [name for name in listed if only is None or name in only]
    return tuple(parse(f"{folder_name}/{name}", files[name]) for name in wanted)


def _listed(data: bytes) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in data.decode().splitlines())
    return [line for line in lines if line]
