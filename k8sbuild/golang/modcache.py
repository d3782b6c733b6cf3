"""What ``go`` extracted into our GOMODCACHE, held to the locked sums before it is compiled.

``go`` checks zips and trusts what it extracted from them. Beside the folder
lies ``<folder>.index``: the state of every module that was found to be what
its sum says. Only a module whose state is another one is read.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from k8sbuild.store import look
from k8sbuild.store.files import RACY_NS as _RACY_NS
from k8sbuild.store.files import disk_errors, sha256_of, walk, write_file
from k8sbuild.store.layout import touch
from k8sbuild.store.locks import lock

from .client import escape, forget, zip_of
from .dirhash import hash1

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["absent", "check", "extracted"]

#: As many modules are looked at while a process for it starts.
_FEW = 20
#: The answer is wanted when a compile is over: its compilers and linker come first.
_NICE = 10


def check(modcache: Path, sums: Mapping[str, str]) -> list[str]:
    """Return the extracted modules that are not what their sums say; they are removed, for ``go`` to extract again.

    Args:
        modcache: GOMODCACHE.
        sums: ``h1:`` sum by ``path@version``; modules that are not extracted are passed over.

    Raises:
        StoreError: the folder cannot be read or written.

    >>> check(tmp_path / "modcache", {"example.org/a@v1.0.0": "h1:…"})          # doctest: +SKIP
    []
    """
    index = modcache.with_name(f"{modcache.name}.index")
    with lock(modcache.with_name(f"{modcache.name}.lock"), "check the extracted modules"):
        touch(modcache)
        known = _load(index)
        with disk_errors("look at", modcache):
            found = _states(modcache, sorted(sums.keys() - absent(modcache, sums).keys()))
        doubtful = [name for name, state in found.items() if known.get(name) != [sums[name], state.digest]]
        wrong = [name for name in doubtful if _sum(modcache, name) != sums[name]]
        for name in wrong:
            _remove(modcache, name)
        settled = time.time_ns() - _RACY_NS
        sound = {name: state for name, state in found.items() if name not in wrong and state.newest < settled}
        update = {**known, **{name: [sums[name], state.digest] for name, state in sound.items()}}
        update = {name: entry for name, entry in update.items() if name not in wrong}
        if update != known:
            write_file(index, json.dumps(update, sort_keys=True).encode())
    return wrong


def absent(modcache: Path, sums: Mapping[str, str]) -> dict[str, str]:
    """Return the modules that are not extracted."""
    return {name: sums[name] for name in sums if not _folder(modcache, name).is_dir()}


def extracted(modcache: Path, path: str) -> bool:
    """Say whether a path of a file-system proxy is a zip that ``go`` asks for no more: it has extracted the module.

    >>> extracted(Path("/nowhere"), "cache/download/example.org/a/@v/v1.0.0.zip")
    False
    """
    module, _, file = path.removeprefix("cache/download/").rpartition("/@v/")
    version, dot, suffix = file.rpartition(".")
    noted = modcache / f"{path}hash"
    return f"{dot}{suffix}" == ".zip" and noted.is_file() and (modcache / f"{module}@{version}").is_dir()


@dataclass(frozen=True, slots=True)
class _State:
    digest: str
    newest: int


def _states(modcache: Path, names: Sequence[str]) -> dict[str, _State]:
    folders = [str(_folder(modcache, name)) for name in names]
    rows = look.aside(folders, nice=_NICE) if len(folders) > _FEW else [look.state(folder) for folder in folders]
    return {name: _State(*row) for name, row in zip(names, rows, strict=True)}


def _sum(modcache: Path, name: str) -> str:
    folder = _folder(modcache, name)
    return hash1((f"{name}/{path}", _digest(folder / path)) for path in walk(folder).files)


def _digest(path: Path) -> str:
    if not path.is_file() or path.is_symlink():
        return "no file"
    with disk_errors("read", path):
        return sha256_of(path)


def _folder(modcache: Path, name: str) -> Path:
    return modcache / escape(name)


def _remove(modcache: Path, name: str) -> None:
    """Take a module away as a whole: ``go`` would take half of one for all of it."""
    folder = _folder(modcache, name)
    aside = folder.with_name(f".{folder.name}.damaged")
    with disk_errors("remove", folder):
        for parent, _, _ in os.walk(folder):
            # `go` makes folders that cannot be written.
            Path(parent).chmod(0o755)
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        shutil.rmtree(aside)
        forget(zip_of(modcache, name))


def _load(index: Path) -> dict[str, list[str]]:
    """Read the index; a missing or damaged one knows nothing, so that all is read."""
    try:
        document = json.loads(index.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
