"""The ledger of a series: why each patch is here, and until when.

A ledger is a TOML file with one table a patch::

    ["0001-any-path.patch"]
    why = "a data directory with % in its name opened another file"
    upstream = "none: not reported yet"
    applies-to = ">=0.16.4,<0.17"
    owner = "kine-integration"
    expires = 2027-06-30
    test = "pkg/kine TestAnyDataDirectoryWorks"
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from k8sbuild.build import matches
from k8sbuild.errors import PatchError, suggest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["Entry", "Finding", "check_ledger", "parse_ledger"]

_TEXTS = ("why", "upstream", "applies-to", "owner", "test")
_KEYS = (*_TEXTS, "expires")
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the ledger says about one patch; texts that are not given are empty.

    ``applies_to`` is a PEP 440 specifier over the source's version, ``expires`` the last
    day that the patch is accepted, ``test`` what fails without it.
    """

    patch: str
    why: str = ""
    upstream: str = ""
    applies_to: str = ""
    owner: str = ""
    expires: date | None = None
    test: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with a ledger; ``str()`` gives one line for people."""

    reason: str
    patch: str
    message: str

    def __str__(self) -> str:
        return f"{self.patch}: {self.message}"


def parse_ledger(name: str, data: bytes) -> Mapping[str, Entry]:
    """Read a ledger.

    Args:
        name: the file's name, for messages.
        data: the file's bytes.

    Returns:
        Patch file name to entry, in the file's order.

    Raises:
        PatchError: ``ledger-syntax``, naming file and line: no TOML, an unknown key, a value
            of the wrong type, an ``applies-to`` that is no specifier.

    >>> parse_ledger("ledger.toml", b'["a.patch"]\\nwhy = "it fell over"\\n')["a.patch"].why
    'it fell over'
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _error(name, line, "not UTF-8", "save the file as UTF-8") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(name, text, str(error)) from None
    return {patch: _Reader(name, text, patch).entry(table) for patch, table in tables.items()}


def _not_toml(name: str, text: str, message: str) -> PatchError:
    found = _AT_LINE.search(message)
    line = int(found[1]) if found and found[1] else text.rstrip("\n").count("\n") + 1
    return _error(name, line, _AT_LINE.sub("", message), "the ledger is a TOML file with one table a patch")


def _error(name: str, line: int, message: str, hint: str) -> PatchError:
    details = {"file": name, "line": line}
    return PatchError(f"{name}:{line}: {message}", reason="ledger-syntax", hint=hint, details=details)


class _Reader:
    """Reads one table; knows where it stands in the file, for messages."""

    def __init__(self, name: str, text: str, patch: str) -> None:
        self.name = name
        self.text = text
        self.patch = patch

    def entry(self, table: object) -> Entry:
        if not isinstance(table, dict):
            raise self._error("", f"{self.patch!r} is no table", f'write it as a table: ["{self.patch}"]')
        if any(isinstance(value, dict) for value in table.values()):
            hint = f'quote the file name, its dots are TOML\'s: ["{self.patch}.{next(iter(table))}"]'
            raise self._error("", f"the table {self.patch!r} has tables in it", hint)
        for key in table:
            if key not in _KEYS:
                message = f"unknown key {key!r}{suggest(key, _KEYS)}"
                raise self._error(key, message, f"keys of an entry: {', '.join(_KEYS)}")
        texts = {key.replace("-", "_"): self._text(table, key) for key in _TEXTS}
        self._check_specifier(texts["applies_to"])
        return Entry(patch=self.patch, expires=self._date(table), **texts)

    def _text(self, table: dict[str, Any], key: str) -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            raise self._error(key, f"{key} is no text", f'write {key} = "..."')
        return value.strip()

    def _date(self, table: dict[str, Any]) -> date | None:
        value = table.get("expires")
        # A datetime is a date too; a ledger knows days only.
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            raise self._error("expires", "expires is no date", "write it without quotes: expires = 2027-06-30")
        return value

    def _check_specifier(self, specifier: str) -> None:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            SpecifierSet(specifier)
        except InvalidSpecifier:
            hint = 'write versions as in applies-to = ">=0.16.4,<0.17"'
            raise self._error("applies-to", f"applies-to: {specifier!r} is no specifier", hint) from None

    def _error(self, key: str, message: str, hint: str) -> PatchError:
        return _error(self.name, self._line(key), message, hint)

    def _line(self, key: str) -> int:
        """Return the line of a key, else of the table, else 1: the TOML reader of Python does not tell."""
        table = 0
        for number, line in enumerate(self.text.split("\n"), 1):
            word = line.lstrip()
            if word.startswith("["):
                table = number if _first_key(word) == self.patch else 0
            if table and (not key or _first_key(word) == key):
                return number
            if not table and not key and _first_key(word) == self.patch:
                return number
        return 1


def _first_key(line: str) -> str:
    """Return the first key of a line that is a table's head or sets a value, else an empty text."""
    for text in (line, line.split("=", 1)[0] + "= 0"):
        try:
            return next(iter(tomllib.loads(text)), "")
        except tomllib.TOMLDecodeError:
            continue
    return ""


def check_ledger(
    patches: Collection[str], entries: Mapping[str, Entry], version: str, today: date | None
) -> list[Finding]:
    """Say what is wrong with the ledger of a series.

    Args:
        patches: file names of the series' patches, as the ledger names them.
        entries: the ledger.
        version: the source's version, with or without ``v``.
        today: the day that ``expires`` is held against; None leaves that check out.

    Returns:
        Findings in the series' order, orphans last. Reasons: ``ledger-missing``, ``ledger-empty``,
        ``ledger-applies-to``, ``ledger-expired``, ``ledger-orphan``.

    >>> [str(finding) for finding in check_ledger(["a.patch"], {}, "v0.16.4", None)]
    ['a.patch: has no entry in the ledger']
    """
    findings = [finding for patch in patches for finding in _check_patch(patch, entries.get(patch), version, today)]
    for patch in entries:
        if patch not in patches:
            message = f"is in the ledger, but not in the series{suggest(patch, patches)}"
            findings.append(Finding(reason="ledger-orphan", patch=patch, message=message))
    return findings


def _check_patch(patch: str, entry: Entry | None, version: str, today: date | None) -> Iterator[Finding]:
    if entry is None:
        yield Finding(reason="ledger-missing", patch=patch, message="has no entry in the ledger")
        return
    needed = {"why": entry.why, "upstream": entry.upstream, "applies-to": entry.applies_to, "owner": entry.owner}
    for key, text in needed.items():
        if not text:
            yield Finding(reason="ledger-empty", patch=patch, message=f"{key} is empty")
    if entry.applies_to and not matches(version, entry.applies_to):
        message = f"applies to {entry.applies_to}, the source is {version}"
        yield Finding(reason="ledger-applies-to", patch=patch, message=message)
    if entry.expires is not None and today is not None and entry.expires < today:
        yield Finding(reason="ledger-expired", patch=patch, message=f"expired on {entry.expires}")
