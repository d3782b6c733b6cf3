"""Adds a patch to a folder of patches, or writes one anew: file, line in the series, entry in the ledger."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k8sbuild.build import matches
from k8sbuild.patching.ledger import parse_ledger
from k8sbuild.store.files import write_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SeriesFolder", "entry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFolder:
    """A folder of patches; what is added can be taken back.

    Args:
        folder: made when needed.
        owner: for the ledger.
        version: of the source, for ``applies-to``.
    """

    folder: Path
    owner: str
    version: str
    _before: dict[Path, bytes | None] = field(default_factory=dict)

    def add(self, name: str, why: str, data: bytes) -> Path:
        """Add a patch at the end of the series and return its file.

        Args:
            name: without number and ending.
            why: for the ledger; an empty one is what the ledger's check asks for later.
        """
        names = sorted(path.name for path in self.folder.glob("*.patch"))
        number = max([int(n[:4]) for n in names if n[:4].isdigit()], default=0) + 1
        patch = self.folder / f"{number:04d}-{name}.patch"
        listed = self._text("series") or "".join(f"{n}\n" for n in names)
        ledger = _ended(self._text("ledger.toml"))
        self._write(patch, data)
        self._write(self.folder / "series", f"{_ended(listed)}{patch.name}\n".encode())
        text = f"{ledger}\n" if ledger else ""
        made = entry(patch.name, why=why, version=self.version, owner=self.owner)
        self._write(self.folder / "ledger.toml", (text + made).encode())
        return patch

    def replace(self, name: str, data: bytes) -> Path:
        """Write a patch anew, let its ledger entry apply to the version, and return its file."""
        patch = self.folder / name
        self._write(patch, data)
        ledger = self._text("ledger.toml")
        known = parse_ledger("ledger.toml", ledger.encode()).get(name)
        if known and known.applies_to and not matches(self.version, known.applies_to):
            table = re.compile(rf"^\[{re.escape(json.dumps(name))}\]\n(?:(?!\[).*\n)*", re.MULTILINE)
            line = f"applies-to = {json.dumps(_range(self.version))}"
            text = table.sub(lambda found: re.sub(r"(?m)^applies-to *=.*$", line, found[0]), _ended(ledger))
            self._write(self.folder / "ledger.toml", text.encode())
        return patch

    def restore(self) -> None:
        """Take back everything that was added or replaced."""
        for path, data in self._before.items():
            if data is None:
                path.unlink(missing_ok=True)
            else:
                write_file(path, data)

    def _text(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def _write(self, path: Path, data: bytes) -> None:
        self._before.setdefault(path, path.read_bytes() if path.is_file() else None)
        write_file(path, data)


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def entry(patch: str, *, why: str, version: str, owner: str) -> str:
    """Return a ledger entry that is good for the version's minor release.

    >>> print(entry("0001-x.patch", why="it fell", version="v1.31.4", owner="me"), end="")
    ["0001-x.patch"]
    why = "it fell"
    upstream = "none: not reported yet"
    applies-to = ">=1.31.4,<1.32"
    owner = "me"
    """
    rows = {
        "why": why,
        "upstream": "none: not reported yet",
        "applies-to": _range(version),
        "owner": owner,
    }
    return "".join([f"[{json.dumps(patch)}]\n", *(f"{key} = {json.dumps(text)}\n" for key, text in rows.items())])


def _range(version: str) -> str:
    """Return the specifier of a version and what follows it in its minor release."""
    exact = version.removeprefix("v")
    major, minor = exact.split(".")[:2]
    return f">={exact},<{major}.{int(minor) + 1}"
