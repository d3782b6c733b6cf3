"""Reads a folder of patches in the order they are applied in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sbuild.errors import PatchError, suggest
from k8sbuild.patching.parse import parse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from k8sbuild.patching.model import Patch

__all__ = ["read_series", "series_names"]

_SERIES = "series"


def read_series(folder_name: str, files: Mapping[str, bytes], only: Collection[str] | None = None) -> tuple[Patch, ...]:
    r"""Return the patches of a folder, parsed, in the order of its series.

    The order is that of the file ``series`` (quilt's form: one name a line, ``#`` starts a
    comment at the start of a line or after a space), else alphabetical.

    Args:
        folder_name: name of the folder, for messages and the patches' names.
        files: all files of the folder, relative path to bytes.
        only: names of the patches that are wanted; None for all. The order stays the series'.

    Raises:
        PatchError: ``series-missing-file``, ``series-orphan``, ``series-duplicate``,
            ``series-empty-patch``, and what :func:`~k8sbuild.patching.parse.parse` raises.

    >>> diff = b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-old\n+new\n"
    >>> files = {"series": b"b.patch # first\na.patch\n", "a.patch": diff, "b.patch": diff}
    >>> [patch.name for patch in read_series("kine", files)]
    ['kine/b.patch', 'kine/a.patch']
    """
    names = series_names(folder_name, files)
    for name in only or ():
        if name not in names:
            raise _missing(f"{folder_name}: {name} is asked for, but is not in the series", folder_name, name, names)
    return tuple(_read(folder_name, name, files[name]) for name in names if only is None or name in only)


def series_names(folder_name: str, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the names of a folder's patches in order, without reading the patches.

    Arguments and errors are those of :func:`read_series`, without ``series-empty-patch``.

    >>> series_names("kine", {"b.patch": b"", "a.patch": b"", "ledger.toml": b""})
    ('a.patch', 'b.patch')
    """
    patches = sorted(name for name in files if name.endswith(".patch"))
    if _SERIES not in files:
        return tuple(patches)
    lines: dict[str, int] = {}
    for line, name in _listed(files[_SERIES]):
        if name in lines:
            message = f"{folder_name}/{_SERIES}:{line}: {name} is already in line {lines[name]}"
            raise _error("series-duplicate", message, "leave one of the two lines", folder_name, name, line)
        if name not in files:
            raise _missing(f"{folder_name}/{_SERIES}:{line}: there is no file {name}", folder_name, name, patches, line)
        lines[name] = line
    _check_orphans(folder_name, [name for name in patches if name not in lines])
    return tuple(lines)


def _listed(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield line number and name; a ``#`` inside a name stays, as in quilt."""
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        text = line.replace("\t", " ").strip()
        name = "" if text.startswith("#") else text.split(" #", 1)[0].rstrip()
        if name:
            yield number, name


def _check_orphans(folder_name: str, orphans: list[str]) -> None:
    if orphans:
        message = f"{folder_name}: not in the file {_SERIES}: {', '.join(orphans)}"
        hint = f"add it to {folder_name}/{_SERIES}, or remove the file: a patch that is not listed is not applied"
        raise _error("series-orphan", message, hint, folder_name, orphans[0])


def _read(folder_name: str, name: str, data: bytes) -> Patch:
    if not data.strip():
        hint = "remove the file, its ledger entry and its line in the series, or make it anew"
        raise _error("series-empty-patch", f"{folder_name}/{name}: the patch is empty", hint, folder_name, name)
    return parse(f"{folder_name}/{name}", data)


def _missing(message: str, folder: str, name: str, known: Collection[str], line: int | None = None) -> PatchError:
    hint = "patches of the folder: " + (", ".join(known) or "none")
    return _error("series-missing-file", message + suggest(name, known), hint, folder, name, line)


def _error(reason: str, message: str, hint: str, folder: str, name: str, line: int | None = None) -> PatchError:
    details = {"patch": f"{folder}/{name}", **({"line": line} if line is not None else {})}
    return PatchError(message, reason=reason, hint=hint, details=details)
