r"""Writes the difference of two trees as a patch that git applies.

The same trees give the same bytes everywhere: no ``index`` line, whose digests would need git,
and no section names, which depend on git's configuration.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

from k8sbuild.errors import PatchError
from k8sbuild.patching.image import alike, split
from k8sbuild.patching.names import quote, refusal
from k8sbuild.patching.scan import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from k8sbuild.patching.model import FileDiff, Hunk
    from k8sbuild.patching.tree import File, Tree

__all__ = ["fragment", "make"]

_CONTEXT = 3


class _Change(NamedTuple):
    """Lines ``old_from:old_to`` become lines ``new_from:new_to``, counted from 0."""

    old_from: int
    old_to: int
    new_from: int
    new_to: int


def make(old: Tree, new: Tree, paths: Iterable[str]) -> bytes:
    r"""Return what changes between two trees as a unified diff in git's form.

    Args:
        old: the tree before.
        new: the tree after.
        paths: where to look, files only; those that do not differ are left out. A file that is
            gone from one of the paths and has come at another, unchanged, is a rename.

    Returns:
        The parts in order of their paths, empty where nothing differs.

    Raises:
        PatchError: ``patch-unsupported`` for a changed file with NUL bytes; ``patch-go-mod``,
            ``patch-unsafe-path``, ``patch-outside-tree`` for a file that no patch may name.

    >>> from k8sbuild.patching.tree import DictTree, File
    >>> print(make(DictTree({"f": File(b"1\n")}), DictTree({"f": File(b"2\n")}), ["f"]).decode(), end="")
    diff --git a/f b/f
    --- a/f
    +++ b/f
    @@ -1 +1 @@
    -1
    +2
    """
    pairs = {path: (old.get(path), new.get(path)) for path in sorted(set(paths), key=_raw)}
    changed = {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}
    for path in changed:
        _check_path(path, old)
    sources = _renames(changed)
    gone = set(sources.values())
    return b"".join(
        _part(sources.get(path, path), path, changed[sources.get(path, path)][0], after)
        for path, (_, after) in changed.items()
        if path not in gone
    )


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _check_path(path: str, tree: Tree) -> None:
    if refused := refusal(path, tree):
        reason, message, hint = refused
        raise PatchError(message, reason=reason, hint=hint, details={"file": path})


def _renames(changed: dict[str, tuple[File | None, File | None]]) -> dict[str, str]:
    """Return new path to old path; each old path once, one with the same file name first."""
    gone: dict[bytes, list[str]] = {}
    for path, (before, after) in changed.items():
        # Empty files are all alike: their renames would say nothing.
        if before is not None and after is None and before.data:
            gone.setdefault(before.data, []).append(path)
    found: dict[str, str] = {}
    for path, (before, after) in changed.items():
        if before is None and after is not None and (candidates := gone.get(after.data)):
            found[path] = next((old for old in candidates if _base(old) == _base(path)), candidates[0])
            candidates.remove(found[path])
    return found


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _part(old_path: str, new_path: str, before: File | None, after: File | None) -> bytes:
    lines = [b"diff --git %s %s\n" % (quote(f"a/{old_path}"), quote(f"b/{new_path}")), *_modes(before, after)]
    if old_path != new_path:
        lines += [b"similarity index 100%\n"]
        lines += [b"rename from %s\n" % quote(old_path), b"rename to %s\n" % quote(new_path)]
    old, new = (split(file.data) if file else [] for file in (before, after))
    if old != new:
        _check_text(new_path, [*old, *new])
        lines += [b"--- %s\n" % _label("a", old_path, before), b"+++ %s\n" % _label("b", new_path, after)]
        lines += _hunks(old, new)
    return b"".join(lines)


def fragment(part: FileDiff, hunks: Iterable[Hunk]) -> bytes:
    """Return some hunks of a file's part as a diff of their own, as ``patch`` writes rejects."""
    names = [quote(f"{side}/{path}") if path else b"/dev/null" for side, path in (("a", part.old), ("b", part.new))]
    lines = [b"--- %s\n+++ %s\n" % (names[0], names[1])]
    for hunk in hunks:
        numbers = hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count
        lines.append(b"@@ -%d,%d +%d,%d @@\n" % numbers)
        lines += [body for op, line in hunk.lines for body in _body(op.encode(), [line])]
    return b"".join(lines)


def _modes(before: File | None, after: File | None) -> Iterator[bytes]:
    if before is None and after is not None:
        yield b"new file mode 100%o\n" % after.mode
    elif after is None and before is not None:
        yield b"deleted file mode 100%o\n" % before.mode
    elif before is not None and after is not None and before.mode != after.mode:
        yield b"old mode 100%o\nnew mode 100%o\n" % (before.mode, after.mode)


def _label(side: str, path: str, file: File | None) -> bytes:
    # A tab ends a name with spaces, else a date could be part of it.
    return b"/dev/null" if file is None else quote(f"{side}/{path}") + (b"\t" if " " in path else b"")


def _check_text(path: str, lines: list[bytes]) -> None:
    if any(b"\0" in line for line in lines):
        hint = "put binary files into an overlay; remove one with an Edit (delete-file)"
        message = f"{path} holds NUL bytes, and a patch holds text only"
        raise PatchError(message, reason="patch-unsupported", hint=hint, details={"file": path})


def _hunks(old: list[bytes], new: list[bytes]) -> Iterator[bytes]:
    for group in _groups(_changes(old, new)):
        before = min(_CONTEXT, group[0].old_from)
        after = min(_CONTEXT, len(old) - group[-1].old_to)
        old_from, old_to = group[0].old_from - before, group[-1].old_to + after
        new_from, new_to = group[0].new_from - before, group[-1].new_to + after
        yield b"@@ -%s +%s @@\n" % (_range(old_from, old_to), _range(new_from, new_to))
        at = old_from
        for change in group:
            yield from _body(b" ", old[at : change.old_from])
            yield from _body(b"-", old[change.old_from : change.old_to])
            yield from _body(b"+", new[change.new_from : change.new_to])
            at = change.old_to
        yield from _body(b" ", old[at:old_to])


def _range(start: int, end: int) -> bytes:
    """Return a range in the header's form: an empty one names the line before it, one line has no count."""
    count = end - start
    return b"%d" % (start + 1) if count == 1 else b"%d,%d" % (start + (count > 0), count)


def _body(op: bytes, lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield op + line if line.endswith(b"\n") else op + line + b"\n" + MARKER


def _groups(changes: Iterable[_Change]) -> Iterator[list[_Change]]:
    """Yield changes that share a hunk: those whose context would touch."""
    group: list[_Change] = []
    for change in changes:
        if group and change.old_from - group[-1].old_to > 2 * _CONTEXT:
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _changes(old: list[bytes], new: list[bytes]) -> Iterator[_Change]:
    """Yield the changed stretches in order; what is equal at both ends is set aside, most files differ little."""
    head, tail = alike(old, new)
    matcher = SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail])
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag != "equal":
            yield _Change(old_from + head, old_to + head, new_from + head, new_to + head)
