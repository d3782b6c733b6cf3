"""Reads one ``.patch`` file into a :class:`~k8sbuild.patching.model.Patch`.

Hunks are read by ``unidiff``, as latin-1 so that every byte survives, and written again:
what does not come out as it went in is refused, never guessed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from k8sbuild.patching.model import FileDiff, Hunk, Kind, Patch
from k8sbuild.patching.names import header_names, name_field, refusal, strip
from k8sbuild.patching.scan import Part, malformed, refuse, scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unidiff.patch import Hunk as ParsedHunk

__all__ = ["parse"]

_EPOCH = re.compile(rb"\t(1969-12-31|1970-01-01) ")
_INDEX_MODE = re.compile(rb"[0-9a-f]+\.\.[0-9a-f]+ ([0-7]{6})")


def parse(name: str, data: bytes) -> Patch:
    """Read a patch made by ``git diff``, ``git format-patch``, ``diff -u`` or quilt.

    Args:
        name: the patch's name, for messages.
        data: the file's bytes.

    Raises:
        PatchError: ``patch-malformed``, ``patch-unsupported``, ``patch-unsafe-path``,
            ``patch-go-mod``; ``details`` names patch and line.

    >>> patch = parse("x.patch", b"--- a/f\\n+++ b/f\\n@@ -1 +1 @@\\n-old\\n+new\\n")
    >>> patch.files[0].path, patch.files[0].hunks[0].new
    ('f', [b'new\\n'])
    """
    header, parts = scan(name, data)
    if not parts:
        raise malformed(name, 1, "not a patch: it changes no file")
    return Patch(name=name, header=header, files=tuple(_file_diff(name, part) for part in parts))


def _file_diff(name: str, part: Part) -> FileDiff:
    try:
        kind, old, new = _names(part)
    except ValueError as error:
        raise malformed(name, part.at, str(error)) from None
    for path in filter(None, (old, new)):
        if refused := refusal(path):
            raise refuse(refused[0], name, part.at, refused[1], refused[2], path)
    diff = FileDiff(
        kind=kind,
        old=old,
        new=new,
        old_mode=_mode(name, part, "old mode", "deleted file mode"),
        new_mode=_mode(name, part, "new mode", "new file mode"),
        hunks=tuple(_hunks(name, part)),
        at=part.at,
    )
    _check_shape(name, diff)
    return diff


def _names(part: Part) -> tuple[Kind, str | None, str | None]:
    """Return kind and both paths; a ValueError says what is inconsistent."""
    for kind in ("rename", "copy"):
        if f"{kind} from" in part.fields or f"{kind} to" in part.fields:
            return kind, *_moved(part, kind)
    return _git_names(part) if part.git is not None else _plain_names(part)


def _moved(part: Part, kind: str) -> tuple[str, str]:
    if f"{kind} from" not in part.fields or f"{kind} to" not in part.fields:
        raise ValueError(f"a {kind} needs both names")
    old, new = name_field(part.fields[f"{kind} from"]), name_field(part.fields[f"{kind} to"])
    if part.old is not None and (_stripped(part.old), _stripped(part.new or b"")) != (old, new):
        raise ValueError(f"the --- and +++ names are not those of the {kind}")
    if old == new:
        raise ValueError(f"a {kind} of a file to itself")
    return old, new


def _stripped(field: bytes) -> str | None:
    name = name_field(field)
    return None if name == "/dev/null" else strip(name)


def _git_names(part: Part) -> tuple[Kind, str | None, str | None]:
    pair = header_names(part.git or b"")
    modes: dict[str, Kind] = {"new file mode": "add", "deleted file mode": "delete"}
    kind: Kind = next((kind for field, kind in modes.items() if field in part.fields), "modify")
    old, new = (_stripped(part.old), _stripped(part.new or b"")) if part.old is not None else pair or (None, None)
    if part.old is not None and (old is None, new is None) != (kind == "add", kind == "delete"):
        raise ValueError("the --- and +++ names do not fit the header (new file, deleted file)")
    path = old or new
    if path is None:
        raise ValueError("the file's name cannot be read from the `diff --git` line")
    if (old or path) != (new or path) or (pair is not None and path not in pair):
        raise ValueError("the header names different files and is no rename")
    return kind, None if kind == "add" else path, None if kind == "delete" else path


def _plain_names(part: Part) -> tuple[Kind, str | None, str | None]:
    old, new = _stripped(part.old or b""), _stripped(part.new or b"")
    numbers = part.hunks[0][1][0].split(b" ")
    if old is None or (_EPOCH.search(part.old or b"") and numbers[1] == b"-0,0"):
        kind: Kind = "add"
        old = None
    elif new is None or (_EPOCH.search(part.new or b"") and numbers[2] == b"+0,0"):
        kind, new = "delete", None
    else:
        kind = "modify"
    if old is None and new is None:
        raise ValueError("both names are /dev/null")
    if kind == "modify" and old != new:
        raise ValueError(f"the names {old!r} and {new!r} differ and there is no git header that says why")
    return kind, old, new


def _mode(name: str, part: Part, *fields: str) -> int | None:
    """Return 0o644 or 0o755 from the first of the fields that is there; refuse links and submodules."""
    found = [part.fields[field] for field in fields if field in part.fields]
    index = _INDEX_MODE.fullmatch(part.fields.get("index", b""))
    for mode in [*found, *([index[1]] if index else [])]:
        _check_mode(name, part.at, mode)
    return (0o755 if int(found[0], 8) & 0o100 else 0o644) if found else None


def _check_mode(name: str, line: int, mode: bytes) -> None:
    kinds = {b"120000": "symbolic links are", b"160000": "submodules are"}
    if mode in kinds:
        hint = "the sources hold plain files only"
        raise refuse("patch-unsupported", name, line, f"{kinds[mode]} not supported", hint)
    if not re.fullmatch(rb"100[0-7]{3}", mode):
        raise malformed(name, line, f"unknown file mode {mode.decode('latin-1')}")


def _hunks(name: str, part: Part) -> Iterator[Hunk]:
    if not part.hunks:
        return
    from unidiff.errors import UnidiffParseError
    from unidiff.patch import PatchSet

    # Neutral names: the real ones are read by git's rules above.
    text = ["--- a\n", "+++ b\n", *(line.decode("latin-1") for _, lines in part.hunks for line in lines)]
    try:
        parsed = PatchSet(text)[0]
    except UnidiffParseError as error:
        raise malformed(name, part.at, f"unidiff: {error}") from None
    for number, ((at, raw), hunk) in enumerate(zip(part.hunks, parsed, strict=True), 1):
        yield _hunk(name, number, at, raw, hunk)


def _hunk(name: str, number: int, at: int, raw: list[bytes], hunk: ParsedHunk) -> Hunk:
    if "".join(str(line) for line in hunk).encode("latin-1") != b"".join(raw[1:]):
        raise malformed(name, at, f"hunk {number} does not come out of the parser as it went in")
    lines = tuple(_lines(name, at, hunk))
    _check_ends(name, at, lines)
    return Hunk(
        number=number,
        old_start=hunk.source_start,
        old_count=hunk.source_length,
        new_start=hunk.target_start,
        new_count=hunk.target_length,
        section=hunk.section_header,
        lines=lines,
        at=at,
    )


def _lines(name: str, at: int, hunk: ParsedHunk) -> Iterator[tuple[str, bytes]]:
    """Yield operation and line; a marker takes the line end off the line before it."""
    held: tuple[str, bytes] | None = None
    for line in hunk:
        if line.line_type == "\\":
            if held is None or not held[1].endswith(b"\n"):
                raise malformed(name, at, "a `No newline` marker without a line before it")
            held = (held[0], held[1][:-1])
            continue
        if held is not None:
            yield held
        held = (line.line_type, line.value.encode("latin-1"))
    if held is not None:
        yield held


def _check_ends(name: str, at: int, lines: tuple[tuple[str, bytes], ...]) -> None:
    if all(op == " " for op, _ in lines):
        raise malformed(name, at, "the hunk changes nothing")
    for side in ("-", "+"):
        texts = [text for op, text in lines if op in (" ", side)]
        if not all(text.endswith(b"\n") for text in texts[:-1]):
            raise malformed(name, at, "a `No newline` marker in the middle of the file")


def _check_shape(name: str, diff: FileDiff) -> None:
    """Refuse parts whose hunks do not fit their kind."""
    ops = {op for hunk in diff.hunks for op, _ in hunk.lines}
    if diff.kind == "add" and (ops - {"+"} or len(diff.hunks) > 1):
        raise malformed(name, diff.at, f"the new file {diff.path} depends on old content")
    if diff.kind == "delete" and (ops - {"-"} or len(diff.hunks) > 1):
        raise malformed(name, diff.at, f"the deleted file {diff.path} keeps content")
    if diff.kind == "modify" and not diff.hunks and diff.new_mode is None:
        raise malformed(name, diff.at, f"nothing is changed in {diff.path}")
