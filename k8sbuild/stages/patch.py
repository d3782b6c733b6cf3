"""The patch stage: every plugin's series and edits on one source, checked whole before anything is written."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from k8sbuild.build import matches
from k8sbuild.engine.inside import inside
from k8sbuild.errors import PatchError
from k8sbuild.patching.apply import Contribution
from k8sbuild.patching.apply import apply as apply_all
from k8sbuild.patching.edits import TextEdit
from k8sbuild.patching.ledger import parse_ledger
from k8sbuild.patching.series import read_series
from k8sbuild.patching.tree import File

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from k8sbuild.engine.context import StepContext
    from k8sbuild.engine.local import Files
    from k8sbuild.patching.ledger import Entry
    from k8sbuild.store.store import Store
    from k8sbuild.store.tree import Tree

__all__ = ["StoreTree", "apply", "changes_of", "contributions"]


class StoreTree:
    """A tree of the store as the patching library sees it: files are read only when a patch touches them."""

    def __init__(self, store: Store, tree: Tree) -> None:
        self._store = store
        self._tree = tree

    def get(self, path: str) -> File | None:
        """Return a file, verified."""
        entry = self._tree.entries.get(path)
        return None if entry is None else File(data=self._store.read(entry), mode=entry.mode)

    def paths(self) -> Iterable[str]:
        """Return all paths."""
        return self._tree.entries


def apply(ctx: StepContext) -> None:
    """Apply what the step declares; the output is the source's tree with the changed files in a blob of their own."""
    behind = inside(ctx)
    (tree,) = behind.trees.values()
    rows = contributions(ctx.params["patches"], behind.local_files)
    try:
        applied = apply_all(StoreTree(behind.store, tree), rows)
    except PatchError as error:
        raise _of_version(ctx, error) from error
    behind.kept = behind.store.edit(tree, changes_of(applied.changes))
    ctx.facts["changed"] = len(applied.changes)
    ctx.facts["touched"] = {path: [list(pair) for pair in pairs] for path, pairs in sorted(applied.touched.items())}
    moved = {name: list(offsets) for name, offsets in applied.offsets.items() if any(offsets)}
    if moved:
        ctx.facts["moved"] = moved


def _of_version(ctx: StepContext, error: PatchError) -> PatchError:
    """Return the error with the source's version, and with what the ledgers say the patches are for."""
    version = ctx.params["version"]
    failed = {str(failure.get("patch", "")) for failure in error.details.get("failures", ())}
    ranges = {patch: entry.applies_to for patch, entry in _ledgers(ctx) if patch in failed and entry.applies_to}
    others = {patch: wanted for patch, wanted in ranges.items() if not matches(version, wanted)}
    error.message = f"{ctx.params['source']} {version}: {error.message}"
    if others:
        rows = (f"  {patch} is for {wanted}" for patch, wanted in sorted(others.items()))
        error.message = "\n".join([error.message, "their ledger says:", *rows])
        error.hint = f"take a version of {ctx.params['source']} that the patches are for; or {error.hint}"
        error.details["applies-to"] = others
    return error


def _ledgers(ctx: StepContext) -> Iterator[tuple[str, Entry]]:
    for name, files in inside(ctx).local_files.items():
        # What is wrong with a ledger is for `lint` to say.
        with suppress(PatchError):
            entries = parse_ledger(name, files["ledger.toml"][1]) if "ledger.toml" in files else {}
            yield from ((f"{name}/{patch}", entry) for patch, entry in entries.items())


def changes_of(changes: Mapping[str, File | None]) -> dict[str, tuple[int, bytes] | None]:
    """Return changes of a tree as the store takes them."""
    return {path: None if file is None else (file.mode, file.data) for path, file in changes.items()}


def contributions(rows: Iterable[Mapping[str, Any]], files: Mapping[str, Files]) -> list[Contribution]:
    """Return what plugins declare, read and parsed, one contribution a plugin, in order."""
    by_plugin: dict[str, list[Any]] = {}
    after: dict[str, frozenset[str]] = {}
    for row in rows:
        items = by_plugin.setdefault(row["plugin"], [])
        after[row["plugin"]] = frozenset(row["after"])
        if "local" in row:
            texts = {path: data for path, (_, data) in files[row["local"]].items()}
            items += read_series(row["local"], texts, row["item"]["only"])
        else:
            item = row["item"]
            items.append(TextEdit(**{name: item[name] for name in item if name in _EDIT_FIELDS}))
    return [Contribution(plugin=name, after=after[name], items=tuple(items)) for name, items in by_plugin.items()]


_EDIT_FIELDS = frozenset({"name", "path", "op", "text", "new", "count"})
