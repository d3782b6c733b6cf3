"""Artifacts: out of the store into ``dist/artifacts``, with sums and build.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import StoreError
from k8sbuild.store.files import TMP_PREFIX, disk_errors, is_abandoned, sha256_of, stat_of, write_file

from .address import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from k8sbuild.store.store import Store
    from k8sbuild.store.tree import Entry

    from .run import Outcome

__all__ = ["Artifact", "export", "write_build_json"]

_INDEX = ".index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file in ``dist/artifacts``: its name, size in bytes and sha256 (hex)."""

    name: str
    size: int
    sha256: str
    address: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"name": self.name, "size": self.size, "sha256": self.sha256, "address": self.address}


def export(store: Store, artifacts: Mapping[str, str], outcomes: Mapping[str, Outcome], folder: Path) -> list[Artifact]:
    """Make ``folder`` hold the artifacts; files that are there and unchanged are not written again.

    Args:
        artifacts: address by file name.
        outcomes: of the steps that ran or were reused.
    """
    with disk_errors("artifacts", folder):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_rests(folder)
    index = _Index(folder)
    made = []
    sums: dict[str, str] = {}
    for name, address in artifacts.items():
        for target, entry in _entries(store, name, address, outcomes):
            index.put(store, target, entry)
            made.append(Artifact(name=target, size=entry.size, sha256=entry.digest, address=address))
        sums |= _extra_sums(outcomes, address)
    _write_sums(folder, {**{a.name: a.sha256 for a in made}, **sums}, index)
    index.save()
    return made


def _remove_rests(folder: Path) -> None:
    """Remove what killed runs had half written."""
    for path in folder.rglob(f"{TMP_PREFIX}*"):
        if is_abandoned(path):
            path.unlink(missing_ok=True)


def _entries(store: Store, name: str, address: str, outcomes: Mapping[str, Outcome]) -> Iterable[tuple[str, Entry]]:
    at = parse(address, outcomes)
    result = outcomes[at.step].result
    if result is None:
        return
    try:
        yield from store.load(result.tree).placed(at.path, name).entries.items()
    except KeyError:
        raise StoreError(f"{at.step} has no output {at.path!r}", reason="missing-output") from None


def _extra_sums(outcomes: Mapping[str, Outcome], address: str) -> dict[str, str]:
    result = outcomes[parse(address).step].result
    return dict(result.facts.get("sums", {})) if result else {}


def _write_sums(folder: Path, sums: Mapping[str, str], index: _Index) -> None:
    """Write SHA256SUMS: what this build made, and what other targets and platforms left here and is still there."""
    path = folder / "SHA256SUMS"
    lines = dict(line.split("  ", 1)[::-1] for line in _read(path).splitlines() if "  " in line)
    kept = {n: s for n, s in lines.items() if n not in sums and ((folder / n).is_file() or n in index.extra)}
    index.extra |= {name for name in sums if not (folder / name).exists()}
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted({**kept, **sums}.items()))
    write_if_changed(path, text)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def write_if_changed(path: Path, text: str) -> None:
    """Write a small file in one step, and only if its text is new."""
    if _read(path) == text:
        return
    write_file(path, text.encode())


class _Index:
    """What was written, with stat facts: an untouched file is not hashed again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # What cannot be read is nothing known: every file is hashed again.
        try:
            data = json.loads(_read(folder / _INDEX) or "{}")
            self._known: dict[str, list[Any]] = dict(data.get("files", {}))
            self.extra: set[str] = set(data.get("extra", []))
        except (ValueError, TypeError, AttributeError):
            self._known, self.extra = {}, set()

    def put(self, store: Store, name: str, entry: Entry) -> None:
        path = self._folder / name
        known, state = self._known.get(name), _stat(path)
        if known == [entry.digest, entry.mode, *state]:
            return
        # A file that is as it was written has another digest, or another mode, without a look.
        written = bool(state) and isinstance(known, list) and known[2:] == state
        if written or not _same(path, entry):
            with disk_errors("artifact", path):
                path.parent.mkdir(parents=True, exist_ok=True)
            store.export(entry, path)
        self._known[name] = [entry.digest, entry.mode, *_stat(path)]

    def save(self) -> None:
        text = json.dumps({"files": self._known, "extra": sorted(self.extra)}, sort_keys=True)
        write_if_changed(self._folder / _INDEX, text)


def _stat(path: Path) -> list[int]:
    try:
        return list(stat_of(path.lstat()))
    except OSError:
        return []


def _same(path: Path, entry: Entry) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != entry.size:
        return False
    if path.stat().st_mode & 0o777 != entry.mode:
        return False
    return sha256_of(path) == entry.digest


def write_build_json(path: Path, inputs: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Write ``build.json``, last: ``inputs`` is equal for every provider and folder, ``run`` need not be."""
    document = {"schema": "k8sbuild/build/1", "inputs": inputs, "run": run}
    write_if_changed(path, json.dumps(document, indent=2, sort_keys=True) + "\n")
