"""The lock: every source of a build, exact version and digests, in ``k8sbuild.lock``.

Entries name module, package or repository, never a registry's host, and are
keyed by ``source@version``, so builds of several versions share one file.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from .config import STATE
from .errors import ResolveError
from .store.files import write_file
from .store.locks import lock as hold

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Lock"]

SCHEMA = "k8sbuild/lock/1"
_SECTIONS = ("releases", "sources", "modules", "lists")
#: What entries look like: a type; for objects the fields that must be there; for lists what each item is, or all.
_FORMS: Mapping[str, Any] = {
    "releases": {},
    "sources": {"tree": str, "trust": str, "transports": {}},
    "modules": (str, str),
    "lists": {"go": str, "godebug": {}, "local": {}, "modules": [(str, str, str, str)], "raised": [{}]},
}


class Lock:
    """The lock file in memory.

    Args:
        path: where it is; a missing file is an empty lock.
        frozen: refuse to add entries (``--locked``).
        keep: write what is added; without it the file stays as it is, until :meth:`save`.

    Sections:
        ``releases``: time and commit by ``source@version``;
        ``sources``: tree digest, transports by provider and trust by ``source@version``;
        ``modules``: ``[zip sum, .mod sum]`` by ``path@version``;
        ``lists``: build lists by the digest of what asked for them.
    """

    def __init__(self, path: Path, *, frozen: bool = False, keep: bool = True) -> None:
        self.path = path
        self.frozen = frozen
        self.keep = keep
        #: How many entries were added.
        self.added = 0
        self._guard = threading.Lock()
        #: What was added and is not in the file.
        self._unsaved: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
        self._data = _read(path)

    def get(self, section: str, key: str) -> Any:
        """Return an entry, or ``None``."""
        return self._data[section].get(key)

    def add(self, section: str, key: str, entry: Any) -> None:
        """Add or replace an entry, and write the file where what is added is kept.

        Raises:
            ResolveError: ``not-locked`` where the lock is frozen.
        """
        self.update(section, {key: entry})

    def update(self, section: str, entries: Mapping[str, Any]) -> None:
        """Add several entries at once."""
        with self._guard:
            new = {key: entry for key, entry in entries.items() if self._data[section].get(key) != entry}
            if new and self.frozen:
                raise ResolveError(
                    f"{self.path.name} has no entry for {', '.join(sorted(new)[:5])}",
                    reason="not-locked",
                    hint="run `k8sbuild lock` and commit the file, or build without --locked",
                )
            self.added += len(new)
            if new and self.keep:
                self._merge({section: new})
            else:
                self._data[section].update(new)
                self._unsaved[section].update(new)

    def save(self) -> None:
        """Write what was added and not kept."""
        with self._guard:
            if any(self._unsaved.values()):
                self._merge(self._unsaved)
                self._unsaved = {section: {} for section in _SECTIONS}

    def _merge(self, new: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the new entries into what the file holds now: another build may have added to it meanwhile."""
        with hold(self.path.parent / STATE / f"{self.path.name}.guard", f"add to {self.path.name}"):
            data = _read(self.path)
            for section, entries in new.items():
                data[section].update(entries)
            text = json.dumps({"schema": SCHEMA, **data}, indent=1, sort_keys=True) + "\n"
            # Where the file is a link, several projects may share what it leads to.
            write_file(self.path.resolve(), text.encode())
        self._data = data


def _fits(value: Any, form: Any) -> bool:
    """Say whether data has a form.

    >>> _fits({"go": "1.24", "more": 1}, {"go": str}), _fits([["a"]], [(str, str)])
    (True, False)
    """
    if isinstance(form, dict):
        return isinstance(value, dict) and all(n in value and _fits(value[n], part) for n, part in form.items())
    if isinstance(form, list):
        return isinstance(value, list) and all(_fits(item, form[0]) for item in value)
    if isinstance(form, tuple):
        # Most are rows of words, hundreds of them, and looked at one by one they take as long as reading the file.
        words = isinstance(value, list) and tuple(map(type, value)) == form
        return words or (isinstance(value, list) and len(value) == len(form) and all(map(_fits, value, form)))
    return isinstance(value, form)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    empty: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    if not path.exists():
        return empty
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.get("schema") != SCHEMA:
            raise ValueError(f"its schema is {data.get('schema')!r}, this k8sbuild reads {SCHEMA!r}")
        found = {section: dict(data.get(section, {})) for section in _SECTIONS}
        for section, entries in found.items():
            for key, entry in entries.items():
                if not _fits(entry, _FORMS[section]):
                    raise ValueError(f"{section}: {key!r} is not of the form that k8sbuild writes")
        return found
    except (OSError, ValueError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ResolveError(
            f"{path}: not a lock file that this k8sbuild can use: {why}",
            reason="lock-damaged",
            hint="restore it from version control; after a merge, take one side and run `k8sbuild lock`",
        ) from error
