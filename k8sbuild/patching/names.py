"""File names in diffs: git's C-style quoting, prefixes, and which names are refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from k8sbuild.patching.tree import Tree

__all__ = ["first_refusal", "header_names", "name_field", "quote", "refusal", "strip"]

_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_LETTERS = {code: letter for letter, code in _ESCAPES.items()}
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb'\\([0-7]{3}|[abtnvfr"\\])|\\')
_GO_MODULE_FILES = frozenset({"go.mod", "go.sum", "go.work", "go.work.sum"})


def _unescape(match: re.Match[bytes]) -> bytes:
    code = (match[1] or b"").decode("ascii")
    if not code or (len(code) == 3 and int(code, 8) > 255):
        raise ValueError("a file name has an unknown escape")
    return bytes([_ESCAPES[code] if len(code) == 1 else int(code, 8)])


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def quote(name: str) -> bytes:
    r"""Return a name as git prints it with ``core.quotePath``: quoted when it has unusual bytes.

    >>> quote("a/ä b")
    b'"a/\\303\\244 b"'
    """
    raw = name.encode("utf-8", "surrogateescape")
    if not any(byte < 32 or byte > 126 or byte in b'"\\' for byte in raw):
        return raw
    return b'"' + b"".join(_quote_byte(byte) for byte in raw) + b'"'


def _quote_byte(byte: int) -> bytes:
    if byte in _LETTERS:
        return b"\\" + _LETTERS[byte].encode("ascii")
    return bytes([byte]) if 32 <= byte < 127 else b"\\%03o" % byte


def name_field(field: bytes) -> str:
    """Return the name in a header field, quoted or plain; a tab ends a plain one (a date may follow).

    Raises:
        ValueError: a quoted name is malformed.
    """
    if field.startswith(b'"'):
        quoted = _QUOTED.match(field)
        if quoted is None:
            raise ValueError("a quoted file name does not end")
        return _text(_ESCAPE.sub(_unescape, quoted[1]))
    return _text(field.split(b"\t", 1)[0])


def strip(name: str) -> str:
    """Return a name without its first component (``a/``, ``b/``), as ``git apply`` does.

    Raises:
        ValueError: there is no first component.
    """
    first, slash, rest = name.partition("/")
    if not slash or not rest or not first:
        raise ValueError(f"the file name {name!r} has no prefix like a/ or b/, or is absolute")
    return rest


def header_names(rest: bytes) -> tuple[str, str] | None:
    """Return both stripped names of ``diff --git <rest>``; None where only the lines after it can tell.

    Plain names may hold spaces, so the line is cut where both halves name the same file.
    """
    if rest.startswith(b'"'):
        first = _QUOTED.match(rest)
        return None if first is None else _pair(first[0], rest[first.end() + 1 :])
    if rest.endswith(b'"'):
        cut = rest.find(b' "')
        return None if cut < 0 else _pair(rest[:cut], rest[cut + 1 :])
    cuts = [at for at in range(len(rest)) if rest[at : at + 1] == b" "]
    pairs = [pair for pair in (_pair(rest[:at], rest[at + 1 :]) for at in cuts) if pair]
    same = [pair for pair in pairs if pair[0] == pair[1]]
    return same[0] if len(same) == 1 else pairs[0] if len(pairs) == 1 else None


def _pair(old: bytes, new: bytes) -> tuple[str, str] | None:
    try:
        return strip(name_field(old)), strip(name_field(new))
    except ValueError:
        return None


def refusal(path: str, tree: Tree | None = None) -> tuple[str, str, str] | None:
    """Return reason, message and hint where a patch or edit may not name this path, else None.

    Args:
        tree: what is changed, where it is known: a source that is taken as it is may have a ``vendor/`` folder.
    """
    parts = path.split("/")
    if path.startswith("/") or any(part in ("", ".", "..") for part in parts) or "\0" in path:
        return "patch-unsafe-path", f"the path {path!r} leaves the tree or is not normal", "use paths inside the source"
    if ".git" in (part.lower() for part in parts):
        return "patch-unsafe-path", f"the path {path!r} is git's own", "leave .git out of the patch"
    if parts[-1] in _GO_MODULE_FILES:
        hint = "declare GoRequire or GoReplace: module files are written from the lock and those"
        return "patch-go-mod", f"{path} is not patched as text", hint
    if tree is not None and parts[0] == "vendor" and tree.get("vendor/modules.txt") is None:
        hint = "the source has no vendor folder; require a module with GoRequire, replace it with GoReplace"
        return "patch-outside-tree", f"{path} is in vendor/, which is no part of the source", hint
    return None


def first_refusal(paths: Iterable[str], tree: Tree) -> tuple[str, str, str] | None:
    """Return what :func:`refusal` says of the first path that it refuses, else None."""
    return next(filter(None, (refusal(path, tree) for path in paths)), None)
