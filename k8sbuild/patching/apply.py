"""Applies patches and edits of several plugins to a tree, strictly and as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8sbuild.patching.edits import TextEdit, apply_edit
from k8sbuild.patching.patcher import Author, apply_patch
from k8sbuild.patching.report import error
from k8sbuild.patching.work import Work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8sbuild.patching.model import Patch
    from k8sbuild.patching.report import Failure
    from k8sbuild.patching.tree import File, Tree

__all__ = ["Applied", "Contribution", "apply"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one plugin does to a source.

    Args:
        plugin: its name.
        after: plugins whose changes it may touch; ``*`` is all.
        items: patches and edits in order.
    """

    plugin: str
    after: frozenset[str]
    items: tuple[Patch | TextEdit, ...]

    def knows(self, plugin: str) -> bool:
        """Whether it may touch that plugin's changes."""
        return plugin == self.plugin or plugin in self.after or "*" in self.after

    def author(self, item: Patch | TextEdit) -> Author:
        """Return who makes the changes of an item."""
        return Author(plugin=self.plugin, name=item.name, knows=self.knows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a series does to a tree.

    ``changes`` maps each changed path to its new file, None for a removed one; ``touched`` maps
    each path that was touched to ``(plugin, patch or edit)`` in order; ``offsets`` maps each
    patch to how many lines away from its line number each hunk matched.
    """

    changes: Mapping[str, File | None]
    touched: Mapping[str, tuple[tuple[str, str], ...]]
    offsets: Mapping[str, tuple[int, ...]]


def apply(tree: Tree, contributions: Sequence[Contribution]) -> Applied:
    r"""Apply contributions in order: exact context, moved hunks found by offset, no fuzz.

    The whole series is checked; the tree is only read.

    Args:
        tree: the source.
        contributions: plugins' changes in the order in which they apply.

    Raises:
        PatchError: something does not apply. ``details["failures"]`` lists all that failed;
            ``reason`` is the first one's: ``patch-does-not-apply``, ``patch-already-applied``,
            ``patch-missing-file``, ``patch-conflict`` (lines of a plugin that is not in
            ``after``), ``edit-count``, or why an edit's path is refused.

    >>> from k8sbuild.patching.tree import DictTree, File
    >>> edit = TextEdit(name="greet", path="f", op="replace", text="old", new="new")
    >>> mine = Contribution(plugin="mine", after=frozenset(), items=(edit,))
    >>> apply(DictTree({"f": File(b"old\n")}), [mine]).changes
    {'f': File(data=b'new\n', mode=420)}
    """
    work = Work(tree)
    offsets: dict[str, tuple[int, ...]] = {}
    failures: list[Failure] = []
    for contribution in contributions:
        for item in contribution.items:
            author = contribution.author(item)
            if isinstance(item, TextEdit):
                failures += apply_edit(work, author, item)
            else:
                found, failed = apply_patch(work, author, item)
                offsets[item.name] = (*offsets.get(item.name, ()), *found)
                failures += failed
    if failures:
        raise error(failures)
    touched = {path: tuple(writers) for path, writers in sorted(work.touched.items())}
    return Applied(changes=work.changes(), touched=touched, offsets=offsets)
