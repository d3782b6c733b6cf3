"""A series up to a patch, as far as that one applies, and what of it is left over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8sbuild.patching.diff import fragment
from k8sbuild.patching.edits import TextEdit, apply_edit
from k8sbuild.patching.patcher import apply_patch
from k8sbuild.patching.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from k8sbuild.patching.apply import Contribution
    from k8sbuild.patching.model import FileDiff, Hunk, Patch
    from k8sbuild.patching.report import Failure
    from k8sbuild.patching.tree import File, Tree

__all__ = ["Stop", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Where the application of a series stopped.

    Args:
        patch: the last one that was applied, as far as it applies.
        before: what had changed before it: path to new file, None for a removed one.
        after: the same with what applies of it.
        failures: why it does not apply whole.
    """

    patch: Patch
    before: Mapping[str, File | None]
    after: Mapping[str, File | None]
    failures: tuple[Failure, ...]

    def rejects(self) -> Iterator[tuple[str, bytes]]:
        """Yield ``(path, diff)`` of each file of the patch: the hunks that do not apply."""
        for part in self.patch.files:
            if hunks := _left(part, [f for f in self.failures if f.file in (part.old, part.path)]):
                yield part.path, fragment(part, hunks)


def _left(part: FileDiff, failures: Sequence[Failure]) -> tuple[Hunk, ...]:
    """Return the hunks that were not applied; one on lines of another plugin is applied, and fails all the same."""
    if any(f.hunk is None and f.reason != "patch-already-applied" for f in failures):
        return part.hunks
    numbers = {f.hunk for f in failures if f.found is not None}
    return tuple(hunk for hunk in part.hunks if hunk.number in numbers)


def stop(tree: Tree, contributions: Sequence[Contribution], name: str = "") -> Stop | None:
    """Apply contributions up to the first patch that fails; an edit that fails is passed over.

    Args:
        tree: the source; only read.
        contributions: plugins' changes in the order in which they apply.
        name: of the patch to stop at even if it applies.

    Returns:
        None where every patch applies.
    """
    work = Work(tree)
    for contribution in contributions:
        for item in contribution.items:
            author = contribution.author(item)
            if isinstance(item, TextEdit):
                apply_edit(work, author, item)
                continue
            before = work.changes()
            _, failures = apply_patch(work, author, item)
            if failures or item.name == name:
                return Stop(patch=item, before=before, after=work.changes(), failures=tuple(failures))
    return None
