"""Applies one patch to the working tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from k8sbuild.patching.image import Image
from k8sbuild.patching.match import Taken, apply_hunk, at_start, expected, find, nearest
from k8sbuild.patching.names import first_refusal
from k8sbuild.patching.report import Failure, changed_by, others, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8sbuild.patching.image import Writer
    from k8sbuild.patching.match import Place
    from k8sbuild.patching.model import FileDiff, Hunk, Patch
    from k8sbuild.patching.work import Work

__all__ = ["Author", "apply_patch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who changes the tree now: the name of the patch or edit, its plugin, and whose changes that one may touch."""

    plugin: str
    name: str
    knows: Callable[[str], bool]

    @property
    def writer(self) -> Writer:
        """How its lines are marked."""
        return self.plugin, self.name


def apply_patch(work: Work, author: Author, patch: Patch) -> tuple[list[int], list[Failure]]:
    """Apply what can be applied and put it into ``work``.

    Returns:
        the offset of each hunk that matched, in lines, and what failed.
    """
    run = _Run(work=work, author=author, leaving=_leaving(patch))
    for part in patch.files:
        run.part(part)
    run.check_clashes()
    work.put(run.staged, author.writer)
    return run.offsets, run.failures


def _leaving(patch: Patch) -> frozenset[str]:
    return frozenset(part.old for part in patch.files if part.old and part.kind in ("delete", "rename"))


@dataclass(slots=True, kw_only=True)
class _Run:
    """One patch on its way: what it changed so far, as git orders it.

    Renames and copies read the tree as it was before the patch, so that two
    files can change names; everything else reads what earlier parts left.
    """

    work: Work
    author: Author
    leaving: frozenset[str]
    staged: dict[str, Image | None] = field(default_factory=dict)
    created: set[str] = field(default_factory=set)
    offsets: list[int] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def part(self, part: FileDiff) -> None:
        """Apply what the patch does to one file."""
        if refused := first_refusal(filter(None, (part.old, part.new)), self.work.tree):
            self._fail(refused[0], f"{refused[1]}; {refused[2]}", part)
            return
        if part.kind in ("add", "copy", "rename") and not self._free(part):
            return
        image = self._source(part)
        if image is None:
            self._missing(part)
            return
        image = image.copy()
        self._hunks(part, image)
        if part.new_mode is not None:
            image.mode = part.new_mode
        self._store(part, image)

    def _fail(self, reason: str, problem: str, part: FileDiff | None = None, **facts: Any) -> None:
        if part is not None:
            facts = {"file": part.old or part.path, "patch_line": part.at, **facts}
        plugin, patch = self.author.writer
        self.failures.append(Failure(reason=reason, plugin=plugin, patch=patch, problem=problem, **facts))

    def _conflict(self, part: FileDiff, what: str, writers: tuple[Writer, ...], **facts: Any) -> None:
        problem = f"{what} changed by {others(writers)}, which {self.author.plugin} does not come after"
        self._fail("patch-conflict", problem, part, others=tuple(dict.fromkeys(p for p, _ in writers)), **facts)

    def _now(self, path: str) -> Image | None:
        return self.staged[path] if path in self.staged else self.work.image(path)

    def _source(self, part: FileDiff) -> Image | None:
        if part.old is None:
            return Image(b"", 0o644)
        if part.kind in ("rename", "copy"):
            return self.work.image(part.old)
        return self._now(part.old)

    def _store(self, part: FileDiff, image: Image) -> None:
        if part.kind in ("delete", "rename") and part.old and part.old not in self.created:
            self.staged[part.old] = None
        if part.new is not None:
            self.staged[part.new] = image
        if part.kind in ("add", "copy", "rename"):
            self.created.add(part.path)
        if part.kind == "delete" and image.lines:
            self._fail("patch-does-not-apply", f"the deleted file would keep {len(image.lines)} lines", part)

    def _free(self, part: FileDiff) -> bool:
        """Whether the new file may be there; a file that the same patch removes or renames makes room."""
        image = self._now(part.path)
        if image is None or (part.path in self.leaving and part.path not in self.created):
            return self._not_removed_by_others(part)
        strangers = image.strangers(0, len(image.lines), self.author.knows)
        if strangers:
            self._conflict(part, "the new file exists,", strangers, file=part.path)
        elif part.kind == "add" and image.lines == [line for hunk in part.hunks for line in hunk.new]:
            self._fail("patch-already-applied", "the new file exists with the same content", part, file=part.path)
        else:
            self._fail("patch-does-not-apply", "the new file exists already", part, file=part.path)
        return False

    def _not_removed_by_others(self, part: FileDiff) -> bool:
        remover = self.work.removed.get(part.path)
        if remover is None or self.author.knows(remover[0]):
            return True
        self._conflict(part, "the file to be made was removed:", (remover,), file=part.path)
        return False

    def _missing(self, part: FileDiff) -> None:
        path = part.old or ""
        remover = self.work.removed.get(path)
        if remover is not None and not self.author.knows(remover[0]):
            self._conflict(part, "the file is gone:", (remover,))
            return
        similar = self.work.similar(path)
        near = f"; similar: {', '.join(similar)}" if similar else ""
        self._fail("patch-missing-file", f"there is no such file{near}", part, similar=similar)

    def _hunks(self, part: FileDiff, image: Image) -> None:
        """Apply every hunk that matches; a file whose failed hunks are there already is named once."""
        before, failures, taken = image.copy(), len(self.failures), Taken()
        for hunk in part.hunks:
            start = find(image.lines, hunk, taken)
            if start is None:
                self._mismatch(part, hunk, image)
                continue
            self._check_strangers(part, hunk, image, start)
            self.offsets.append(start - expected(hunk))
            taken.add(start, len(hunk.old), len(hunk.new))
            apply_hunk(image, hunk, start, self.author.writer)
        reasons = {failure.reason for failure in self.failures[failures:]}
        if reasons == {"patch-does-not-apply"} and _applies(part.reversed(), before):
            del self.failures[failures:]
            self._fail("patch-already-applied", "the file has these changes already", part)

    def _check_strangers(self, part: FileDiff, hunk: Hunk, image: Image, start: int) -> None:
        ends = {"before": hunk.lines[0][0] != " ", "after": hunk.at_end}
        strangers = image.strangers(start, start + len(hunk.old), self.author.knows, **ends)
        if strangers:
            facts = {"hunk": hunk.number, "patch_line": hunk.at, "line": start + 1, "expected": text(hunk.old)}
            self._conflict(part, "the lines were", strangers, **facts)

    def _mismatch(self, part: FileDiff, hunk: Hunk, image: Image) -> None:
        """Report a hunk that matches nowhere, against the place where most of it stands."""
        place = nearest(image.lines, hunk)
        start, stop = _window(image, hunk, place)
        skip = place.first_difference if place and not place.whole(hunk) else 0
        facts: dict[str, Any] = {
            "hunk": hunk.number,
            "patch_line": hunk.at,
            "line": place.start + skip + 1 if place else start + 1,
            "expected": text(hunk.old[skip:]),
            "found": text(image.lines[max(0, place.start + skip) if place else start : stop]),
            "nearest": place.start + 1 if place else None,
        }
        if strangers := image.strangers(start, stop, self.author.knows):
            self._conflict(part, "the hunk does not match; lines were", strangers, **facts)
            return
        writers = image.strangers(start, stop, lambda _: False)
        plugins = tuple(dict.fromkeys(plugin for plugin, _ in writers))
        problem = f"{_why(hunk, place)}{changed_by(writers)}"
        self._fail("patch-does-not-apply", problem, part, others=plugins, **facts)

    def check_clashes(self) -> None:
        """Refuse a file where others need a folder, and the reverse."""
        for path in sorted(self.created):
            if other := self.work.clash(path, self.staged):
                problem = f"{path} cannot be beside {other}: one name is file and folder"
                self._fail("patch-does-not-apply", problem, file=path)


def _window(image: Image, hunk: Hunk, place: Place | None) -> tuple[int, int]:
    """Return the lines that keep the hunk from matching: where it should be, or what is before or after that."""
    size, length = len(image.lines), len(hunk.old)
    start = max(0, min(place.start if place else expected(hunk), size))
    stop = max(start, min((place.start if place else start) + length, size))
    if place and not place.whole(hunk):
        return start, stop
    return 0 if at_start(hunk) and place else start, size if hunk.at_end and place else stop


def _why(hunk: Hunk, place: Place | None) -> str:
    if not hunk.old:
        return "the hunk adds lines without context, which needs an empty file or its exact end"
    if place is None:
        return "none of the hunk's lines is in the file"
    if not place.whole(hunk):
        return f"nearest is line {place.start + 1}, where {place.matching} of {len(hunk.old)} lines match"
    ends = [name for name, holds in (("beginning", at_start(hunk)), ("end", hunk.at_end)) if holds]
    if ends:
        return f"the hunk matches at line {place.start + 1}, but must be at the {' and '.join(ends)} of the file"
    return f"the hunk matches only at line {place.start + 1}, which an earlier hunk of the patch has changed"


def _applies(part: FileDiff, image: Image) -> bool:
    """Whether all hunks match, whoever wrote the lines; changes ``image``."""
    taken = Taken()
    for hunk in part.hunks:
        start = find(image.lines, hunk, taken)
        if start is None:
            return False
        taken.add(start, len(hunk.old), len(hunk.new))
        apply_hunk(image, hunk, start, ("", ""))
    return bool(part.hunks)
