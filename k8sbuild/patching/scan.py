"""Cuts a patch file into parts, one a file, and their hunks as raw lines.

``unidiff`` reads hunks; which file they belong to, and git's extended headers, are read
here, because names with spaces, quoted names, and added files in a row need git's own rules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from k8sbuild.errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MARKER", "Part", "malformed", "refuse", "scan"]

MARKER = b"\\ No newline at end of file\n"
_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_EXTENDED = re.compile(
    rb"(old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename from|rename to"
    rb"|similarity index|dissimilarity index|index) (.*)\n"
)
_BINARY = (b"GIT binary patch\n", b"Binary files ")
_COMBINED = (b"diff --cc ", b"diff --combined ", b"@@@ ")


@dataclass(slots=True, kw_only=True)
class Part:
    """One file's part of a patch, as found: header fields, names, raw hunks (header line first)."""

    at: int
    git: bytes | None = None
    fields: dict[str, bytes] = field(default_factory=dict)
    old: bytes | None = None
    new: bytes | None = None
    hunks: list[tuple[int, list[bytes]]] = field(default_factory=list)


def refuse(reason: str, name: str, line: int, message: str, hint: str = "", path: str = "") -> PatchError:
    """Return the error for one place of a patch file."""
    details = {"patch": name, "line": line, **({"file": path} if path else {})}
    return PatchError(f"{name}:{line}: {message}", reason=reason, hint=hint, details=details)


def malformed(name: str, line: int, message: str) -> PatchError:
    """Return the error for a patch file that cannot be read."""
    hint = "make the patch anew with `git diff` or `git format-patch`, and do not edit its hunks by hand"
    return refuse("patch-malformed", name, line, message, hint)


def scan(name: str, data: bytes) -> tuple[bytes, list[Part]]:
    """Return the text before the first part, and the parts.

    Raises:
        PatchError: ``patch-malformed`` or ``patch-unsupported``, naming the line.
    """
    return _Scanner(name, data).run()


class _Scanner:
    """A cursor over the lines of one patch file."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        # Only a newline ends a line: a bare CR is content.
        self.lines = [line + b"\n" for line in data.split(b"\n")]
        self.cut_short = not data.endswith(b"\n")
        if not self.cut_short:
            self.lines.pop()
        self.at = 0
        self.parts: list[Part] = []

    def run(self) -> tuple[bytes, list[Part]]:
        header_end: int | None = None
        while self.at < len(self.lines):
            start = self.at
            part = self._part()
            if part is None:
                self._check_text(self.lines[self.at])
                self.at += 1
                continue
            header_end = start if header_end is None else header_end
            self.parts.append(part)
        return b"".join(self.lines[:header_end]), self.parts

    def _peek(self, ahead: int = 0) -> bytes:
        return self.lines[self.at + ahead] if self.at + ahead < len(self.lines) else b""

    def _error(self, message: str) -> PatchError:
        return malformed(self.name, self.at + 1, message)

    def _unsupported(self, what: str, hint: str) -> PatchError:
        return refuse("patch-unsupported", self.name, self.at + 1, f"{what} not supported", hint)

    def _check_text(self, line: bytes) -> None:
        """Refuse lines outside of all parts that git would not take for text, or would silently drop."""
        if line.startswith(_COMBINED):
            raise self._unsupported("combined diffs (of merges) are", "make a patch against one parent")
        if line.startswith(_BINARY) and self.parts:
            raise self._unsupported("binary patches are", "put binary files into an overlay")
        if line.startswith(b"@@ -"):
            raise self._error("a hunk without the names of its file before it")

    def _part(self) -> Part | None:
        line = self._peek()
        if line.startswith(b"diff --git "):
            return self._git_part(line)
        if line.startswith(b"--- ") and self._peek(1).startswith(b"+++ "):
            part = Part(at=self.at + 1)
            self._file_names(part)
            self._hunks(part)
            return part
        return None

    def _git_part(self, line: bytes) -> Part:
        part = Part(at=self.at + 1, git=self._field(line, b"diff --git "))
        self.at += 1
        while found := _EXTENDED.fullmatch(self._peek()):
            part.fields[found[1].decode("ascii")] = self._no_carriage_return(found[2])
            self.at += 1
        if self._peek().startswith(_BINARY):
            raise self._unsupported("binary patches are", "put binary files into an overlay")
        if self._peek().startswith(b"--- ") and self._peek(1).startswith(b"+++ "):
            self._file_names(part)
            self._hunks(part)
        return part

    def _file_names(self, part: Part) -> None:
        part.old = self._field(self._peek(), b"--- ")
        self.at += 1
        part.new = self._field(self._peek(), b"+++ ")
        self.at += 1

    def _field(self, line: bytes, prefix: bytes) -> bytes:
        return self._no_carriage_return(line[len(prefix) : -1])

    def _no_carriage_return(self, value: bytes) -> bytes:
        if value.endswith(b"\r"):
            raise self._error("the patch's own headers end in CRLF: an editor or mail program converted the file")
        return value

    def _hunks(self, part: Part) -> None:
        while self._peek().startswith(b"@@ -"):
            part.hunks.append((self.at + 1, list(self._hunk())))
        if not part.hunks:
            raise self._error("file names without a hunk after them")
        self._check_after_hunk()

    def _hunk(self) -> Iterator[bytes]:
        header = self._peek()
        numbers = _HUNK.match(header)
        if numbers is None:
            raise self._error("the hunk's header cannot be read")
        old, new = (1 if numbers[group] is None else int(numbers[group]) for group in (2, 4))
        yield header
        self.at += 1
        while old > 0 or new > 0 or self._peek().startswith(b"\\"):
            line = self._body_line()
            old -= line[:1] in b" -"
            new -= line[:1] in b" +"
            if old < 0 or new < 0:
                raise self._error("the hunk has more lines than its header says")
            yield line

    def _body_line(self) -> bytes:
        line = self._peek()
        if self.cut_short and self.at == len(self.lines) - 1 and not line.startswith(b"\\"):
            raise self._error("the patch ends in the middle of a line")
        if line == b"\n":
            line = b" \n"  # an empty context line that lost its space; git takes it as well
        if line[:1] not in (b" ", b"-", b"+", b"\\"):
            raise self._error("the hunk has fewer lines than its header says")
        if line.startswith(b"\\") and line != MARKER:
            raise self._error("an unknown marker; make patches with LC_ALL=C")
        self.at += 1
        return line

    def _check_after_hunk(self) -> None:
        """Refuse what looks like more of the hunk: git would drop it without a word."""
        line = self._peek()
        signature = line in (b"-- \n", b"--\n")
        names = line.startswith(b"--- ") and self._peek(1).startswith(b"+++ ")
        if line[:1] in (b"+", b"-", b" ") and not signature and not names:
            raise self._error("the hunk has more lines than its header says")
