"""Declarative edits: found by content, counted exactly."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Literal

from k8sbuild.patching.image import Image, alike, split
from k8sbuild.patching.names import first_refusal
from k8sbuild.patching.report import Failure, changed_by, others
from k8sbuild.patching.work import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from k8sbuild.patching.image import Writer
    from k8sbuild.patching.patcher import Author
    from k8sbuild.patching.work import Work

__all__ = ["TextEdit", "apply_edit"]

Op = Literal["delete-file", "delete-lines", "drop-import", "replace", "insert-after", "insert-before"]
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEdit:
    """An edit of one or more files.

    Args:
        name: the edit's name, for messages.
        path: a path, or a glob with ``*``, ``?`` and ``**``.
        op: ``delete-file`` removes files; ``delete-lines``, ``insert-after`` and ``insert-before``
            find whole lines equal to ``text``, indentation included; ``replace`` finds ``text``
            anywhere; ``drop-import`` removes the import of the Go package ``text``.
        text: what is found. The last line's newline may be left out where whole lines are found.
        new: what is put (``replace``, ``insert-*``).
        count: how often it must be found over all files together.
    """

    name: str
    path: str
    op: Op
    text: str = ""
    new: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Lines ``start:stop`` hold ``count`` matches; lines ``at:until`` become ``new``."""

    start: int
    stop: int
    at: int
    until: int
    new: tuple[bytes, ...]
    count: int = 1


def apply_edit(work: Work, author: Author, edit: TextEdit) -> list[Failure]:
    """Apply an edit to ``work``; return what failed."""
    paths = work.matching(edit.path)
    images = {path: image for path in paths if (image := work.image(path)) is not None}
    found = {path: places for path, image in images.items() if (places := _find(edit, image))}
    if refused := first_refusal((edit.path, *found), work.tree):
        return [_failure(author, edit, refused[0], f"{refused[1]}; {refused[2]}")]
    if sum(place.count for places in found.values() for place in places) != edit.count:
        return [_miscounted(work, author, edit, found)]
    work.put({path: _changed(author, edit, images[path], places) for path, places in found.items()}, author.writer)
    conflicts = (_conflicts(author, edit, path, images[path], places) for path, places in found.items())
    return list(chain.from_iterable(conflicts))


def _failure(author: Author, edit: TextEdit, reason: str, problem: str, **facts: Any) -> Failure:
    facts = {"file": edit.path, **facts}
    return Failure(reason=reason, plugin=author.plugin, patch=edit.name, problem=problem, **facts)


def _changed(author: Author, edit: TextEdit, image: Image, places: Sequence[_Found]) -> Image | None:
    if edit.op == "delete-file":
        return None
    image = image.copy()
    for place in reversed(places):
        image.splice(place.at, place.until, place.new, author.writer)
    return image


def _conflicts(author: Author, edit: TextEdit, path: str, image: Image, places: Sequence[_Found]) -> Iterator[Failure]:
    for place in places:
        ends = {"before": place.at == place.start, "after": place.until == place.stop}
        if strangers := image.strangers(place.start, place.stop, author.knows, **ends):
            problem = f"the lines were changed by {others(strangers)}, which {author.plugin} does not come after"
            plugins = tuple(dict.fromkeys(plugin for plugin, _ in strangers))
            yield _failure(author, edit, "patch-conflict", problem, file=path, line=place.start + 1, others=plugins)


def _miscounted(work: Work, author: Author, edit: TextEdit, found: dict[str, list[_Found]]) -> Failure:
    """Report a wrong count: a conflict where the count is right without other plugins' changes."""
    count = sum(place.count for places in found.values() for place in places)
    places = tuple(f"{path}:{place.start + 1}" for path, places in found.items() for place in places)
    facts: dict[str, Any] = {"expected": edit.count, "found": count, "places": places}
    writers = _writers(work, edit) if _count_upstream(work, edit) == edit.count else ()
    strangers = [writer for writer in writers if not author.knows(writer[0])]
    plugins = tuple(dict.fromkeys(plugin for plugin, _ in strangers or writers))
    if strangers:
        problem = f"{edit.op} finds {count} places: lines were changed by {others(strangers)}"
        return _failure(author, edit, "patch-conflict", problem, others=plugins, **facts)
    problem = f"{_why(work, edit, places)}{changed_by(writers)}"
    return _failure(author, edit, "edit-count", problem, others=plugins, **facts)


def _upstream(work: Work, edit: TextEdit) -> list[str]:
    """Return the paths that the edit names now or named before any change."""
    return sorted({*work.matching(edit.path), *(path for path in work.removed if names(edit.path, path))})


def _writers(work: Work, edit: TextEdit) -> tuple[Writer, ...]:
    """Return who changed the files that the edit names."""
    writers: list[Writer] = []
    for path in _upstream(work, edit):
        image = work.image(path)
        writers += image.strangers(0, len(image.lines), lambda _: False) if image else [work.removed[path]]
    return tuple(dict.fromkeys(writers))


def _count_upstream(work: Work, edit: TextEdit) -> int:
    files = [file for path in _upstream(work, edit) if (file := work.tree.get(path)) is not None]
    return sum(place.count for file in files for place in _find(edit, Image(file.data, file.mode)))


def _why(work: Work, edit: TextEdit, places: tuple[str, ...]) -> str:
    if places:
        more = ", …" if len(places) > _SHOWN else ""
        return f"{edit.op} finds: {', '.join(places[:_SHOWN])}{more}"
    paths = work.matching(edit.path)
    if not paths:
        similar = work.similar(edit.path)
        return f"no file has this path; similar: {', '.join(similar)}" if similar else "no file has this path"
    text = edit.text.encode("utf-8", "surrogateescape").strip()
    near = [path for path in paths if text and text in (work.image(path) or Image(b"", 0)).file().data]
    if near:
        return f"{edit.op} finds nothing; {near[0]} has the text only inside of other lines, or indented otherwise"
    return f"{edit.op} finds nothing in {len(paths)} file{'s' * (len(paths) > 1)}"


def _find(edit: TextEdit, image: Image) -> list[_Found]:
    size = len(image.lines)
    if edit.op == "delete-file":
        return [_Found(start=0, stop=size, at=0, until=size, new=())]
    finders: dict[str, Callable[[TextEdit, Sequence[bytes]], Iterator[_Found]]] = {
        "drop-import": _imports,
        "replace": _replacements,
    }
    return list(finders.get(edit.op, _whole_lines)(edit, image.lines)) if edit.text else []


def _encoded(text: str, *, whole: bool = False) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return data + b"\n" if whole and data and not data.endswith(b"\n") else data


def _whole_lines(edit: TextEdit, lines: Sequence[bytes]) -> Iterator[_Found]:
    wanted = [line[:-1] for line in split(_encoded(edit.text, whole=True))]
    at, size = 0, len(wanted)
    while at + size <= len(lines):
        if [line.removesuffix(b"\n") for line in lines[at : at + size]] == wanted:
            yield _line_change(edit, lines, at, at + size)
            at += size
        else:
            at += 1


def _line_change(edit: TextEdit, lines: Sequence[bytes], start: int, stop: int) -> _Found:
    new = split(_encoded(edit.new, whole=True))
    if edit.op == "delete-lines":
        return _Found(start=start, stop=stop, at=start, until=stop, new=())
    if edit.op == "insert-before":
        return _Found(start=start, stop=stop, at=start, until=start, new=tuple(new))
    last = lines[stop - 1]
    if last.endswith(b"\n") or not new:
        return _Found(start=start, stop=stop, at=stop, until=stop, new=tuple(new))
    # The file has no newline at its end, and keeps none.
    return _Found(start=start, stop=stop, at=stop - 1, until=stop, new=(last + b"\n", *new[:-1], new[-1][:-1]))


def _imports(edit: TextEdit, lines: Sequence[bytes]) -> Iterator[_Found]:
    """Find import specs of a package; declarations after the imports are not looked at."""
    spec = rb'(?:[\w.]+\s+)?(?:"%s"|`%s`)\s*;?\s*(?://.*)?' % ((re.escape(_encoded(edit.text)),) * 2)
    single, grouped = re.compile(rb"import\s+" + spec), re.compile(rb"\s*" + spec)
    inside = False
    for at, line in enumerate(lines):
        if re.match(rb"(?:func|var|const|type)\b", line):
            return
        if (grouped if inside else single).fullmatch(line.rstrip()):
            yield _Found(start=at, stop=at + 1, at=at, until=at + 1, new=())
        inside = bool(re.match(rb"import\s*\(\s*(?://.*)?$", line)) or (inside and not line.startswith(b")"))


def _replacements(edit: TextEdit, lines: Sequence[bytes]) -> Iterator[_Found]:
    """Find text anywhere; matches on the same lines are one change."""
    old, new = _encoded(edit.text), _encoded(edit.new)
    data, ends = b"".join(lines), list(accumulate(map(len, lines)))
    spans = _spans(data, old, new, ends)
    while spans:
        (start, stop), count = spans.pop(0), 1
        while spans and spans[0][0] < stop:
            stop, count = spans.pop(0)[1], count + 1
        begin = ends[start - 1] if start else 0
        yield _replacement(lines[start:stop], data[begin : ends[stop - 1]].replace(old, new), start, stop, count)


def _spans(data: bytes, old: bytes, new: bytes, ends: list[int]) -> list[tuple[int, int]]:
    """Return the range of lines of each match."""
    spans, at = [], data.find(old)
    while at >= 0:
        start, stop = bisect_right(ends, at), bisect_right(ends, at + len(old) - 1) + 1
        line_start = ends[start - 1] if start else 0
        joins = old.endswith(b"\n") and not (new.endswith(b"\n") or (not new and at == line_start))
        spans.append((start, min(stop + joins, len(ends))))
        at = data.find(old, at + len(old))
    return spans


def _replacement(lines: Sequence[bytes], data: bytes, start: int, stop: int, count: int) -> _Found:
    """Return the change without the lines that stay as they are, which keep their owner."""
    new = split(data)
    head, tail = alike(lines, new)
    kept = tuple(new[head : len(new) - tail])
    return _Found(start=start, stop=stop, at=start + head, until=stop - tail, new=kept, count=count)
