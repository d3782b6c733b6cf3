"""What went wrong in a series, as data and as one error."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from k8sbuild.patching.image import Writer

__all__ = ["Failure", "changed_by", "error", "others", "text"]

_SHOWN = 5
_HINTS = {
    "patch-does-not-apply": "mend the patch in its edit tree: `patch-refresh --start`, then `patch-refresh`",
    "patch-already-applied": "upstream has the change: drop the patch for this version",
    "patch-missing-file": "the file was moved or removed upstream: mend the patch, or drop it for this version",
    "patch-conflict": "if the later plugin is written on top of the other, name that one in its PluginInfo.after",
    "edit-count": "make the edit's text longer or shorter, or set its count",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One reason why a patch or edit does not apply.

    ``line`` (from 1) is in the file as the patch finds it; ``nearest`` is the line where most
    of what is expected stands; ``others`` are the plugins whose changes are in the way, the
    patch's own plugin among them where an earlier patch of it is.
    """

    reason: str
    plugin: str
    patch: str
    file: str
    problem: str
    hunk: int | None = None
    patch_line: int | None = None
    line: int | None = None
    expected: str | int | None = None
    found: str | int | None = None
    nearest: int | None = None
    others: tuple[str, ...] = ()
    similar: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; what is not known is left out."""
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}

    def __str__(self) -> str:
        where = [self.plugin, self.patch, self.file]
        where += [f"hunk {self.hunk}"] if self.hunk is not None else []
        where += [f"line {self.line}"] if self.line is not None else []
        lines = [f"{': '.join(filter(None, where))}: {self.problem}"]
        for word, value in (("expected", self.expected), ("found", self.found)):
            lines += _block(word, value) if value is not None else []
        return "\n".join(lines)


def _block(word: str, value: str | int) -> list[str]:
    if isinstance(value, int):
        return [f"    {word}: {value}"]
    shown = value.split("\n")[: _SHOWN + 1]
    if len(shown) > _SHOWN:
        shown[_SHOWN:] = ["…"]
    return [f"    {word}:", *(f"      | {line}" for line in shown)]


def text(lines: Iterable[bytes]) -> str:
    """Return lines for a message; line ends other than a newline are shown.

    >>> text([b"a\\r\\n", b"b"])
    'a\\\\r\\nb (no newline at end)'
    """
    raw = b"".join(lines)
    if not raw:
        return "(nothing)"
    shown = raw.decode("utf-8", "backslashreplace").replace("\r", "\\r")
    return shown[:-1] if shown.endswith("\n") else f"{shown} (no newline at end)"


def others(writers: Iterable[Writer]) -> str:
    """Return writers for a message."""
    return ", ".join(f"{plugin} ({name})" for plugin, name in writers)


def changed_by(writers: Iterable[Writer]) -> str:
    """Return what a problem says of earlier changes that it may build on; nothing where there are none.

    >>> changed_by([("more", "max")])
    '; lines were changed before by more (max)'
    """
    named = others(writers)
    return f"; lines were changed before by {named}" if named else ""


def error(failures: Sequence[Failure]) -> PatchError:
    """Return the one error for everything that failed; its reason is the first failure's."""
    first = failures[0]
    count = f"{len(failures)} places do not apply" if len(failures) > 1 else "a patch or edit does not apply"
    shown = [f"  {failure}" for failure in failures[:_SHOWN]]
    shown += [f"  {str(failure).partition(chr(10))[0]}" for failure in failures[_SHOWN:]]
    message = "\n".join([f"{count}; nothing was changed", *shown])
    details = {"failures": [failure.to_dict() for failure in failures]}
    return PatchError(message, reason=first.reason, hint=_HINTS.get(first.reason, ""), details=details)
