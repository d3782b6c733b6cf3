"""Keys: sha256 over a step's named components, so that any difference has a name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["as_data", "code_digest", "compact", "digest", "file_components", "key_of"]

#: Longer component values are replaced by their digest; the name stays.
_LITERAL = 200


def digest(data: bytes) -> str:
    """Return ``sha256:<hex>``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compact(value: Any) -> str:
    """Return the canonical JSON of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def key_of(components: Mapping[str, str]) -> str:
    """Return the key of a step (hex) from its named components."""
    return hashlib.sha256(compact(dict(components)).encode()).hexdigest()


def literal(value: Any) -> str:
    """Return a component's value: short ones readable, long ones as digest."""
    text = compact(value)
    return text if len(text) <= _LITERAL else digest(text.encode())


def as_data(value: Any) -> Any:
    """Return a kind as JSON data; fields equal to their default are left out, so that new fields change no key."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: as_data(getattr(value, f.name))
            for f in fields(value)
            if getattr(value, f.name) != f.default and (getattr(value, f.name) or f.default_factory is not dict)
        }
    if isinstance(value, Mapping):
        return {str(k): as_data(v) for k, v in sorted(value.items())}
    if isinstance(value, (list, tuple)):
        return [as_data(item) for item in value]
    return value


def file_components(name: str, root: Path) -> dict[str, str]:
    """Return a component per file below a folder (or for one file): ``file:<name>/<path>`` → digest and mode."""
    if root.is_file():
        return {f"file:{name}": digest(root.read_bytes())}
    return {f"file:{name}/{path}": _file(root / path) for path in walk(root)}


def walk(root: Path) -> Iterable[str]:
    """Yield the files below a folder, sorted; caches, hidden and editor files are passed over."""
    found: list[str] = []
    for folder, folders, files in root.walk() if hasattr(root, "walk") else _os_walk(root):
        folders[:] = [f for f in folders if f != "__pycache__" and not f.startswith(".")]
        found += [
            (folder / name).relative_to(root).as_posix()
            for name in files
            if not name.startswith(".") and not name.endswith(("~", ".pyc", ".swp"))
        ]
    return sorted(found)


def _os_walk(root: Path) -> Iterable[tuple[Path, list[str], list[str]]]:
    import os

    for folder, folders, files in os.walk(root):
        yield Path(folder), folders, files


def _file(path: Path) -> str:
    executable = "x" if path.stat().st_mode & 0o100 else ""
    return digest(path.read_bytes()) + executable


@lru_cache(maxsize=64)
def code_digest(run: str) -> str:
    """Return the digest of the top-level import package that holds ``module:function``.

    Args:
        run: for example ``my_plugin.steps:build``.
    """
    import importlib

    package = importlib.import_module(run.partition(":")[0].partition(".")[0])
    # A package without __init__.py has no file, and maybe several folders.
    roots = [Path(root) for root in getattr(package, "__path__", ())] or [Path(str(package.__file__))]
    parts = {name: value for root in roots for name, value in file_components("", root).items()}
    return digest(compact(parts).encode())
