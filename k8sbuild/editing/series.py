"""The series of a source in a build: all of it by the build's own step, or up to one of its patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from k8sbuild.building import build
from k8sbuild.engine import local
from k8sbuild.engine.lower import source_address
from k8sbuild.engine.lower.patches import series_missing, series_of
from k8sbuild.errors import UsageError, suggest
from k8sbuild.patching import partial
from k8sbuild.patching.model import Patch
from k8sbuild.stages.patch import StoreTree, changes_of, contributions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from k8sbuild.building import Observers
    from k8sbuild.engine.graph import Graph, Node
    from k8sbuild.engine.local import Files
    from k8sbuild.patching.apply import Contribution
    from k8sbuild.patching.partial import Stop
    from k8sbuild.patching.tree import File
    from k8sbuild.project import Prepared, Request
    from k8sbuild.store.store import Store
    from k8sbuild.store.tree import Tree

__all__ = ["Series", "whole"]


def whole(request: Request, source: str, observers: Observers, *, keep_lock: bool = True) -> tuple[Tree, str]:
    """Run what patches a source; returns its tree and version.

    Args:
        keep_lock: write what the lock lacks into its file, once everything went well.

    Raises:
        PlanError: ``unknown-source``.
        PatchError: something does not apply; ``details["failures"]``.
    """
    tree, prepared = _run(
        request, lambda prepared: source_address(prepared.resolved, source), observers, keep_lock=keep_lock
    )
    return tree, prepared.resolved.sources[source].version


def _run(
    request: Request, step: Callable[[Prepared], str], observers: Observers, *, keep_lock: bool
) -> tuple[Tree, Prepared]:
    """Run a step of the build and what it needs; returns its output. A failure leaves the lock as it was."""
    found: list[tuple[Prepared, str]] = []

    def choose(prepared: Prepared) -> Graph:
        found.append((prepared, step(prepared)))
        return prepared.graph.wanted([found[-1][1]])

    report = build(request, choose=choose, keep_lock=False, observers=observers)
    prepared, name = found[-1]
    result = next(o.result for o in report.outcomes if o.step == name)
    assert result is not None
    if keep_lock:
        prepared.lock.save()
    return prepared.store.load(result.tree), prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What changes a source, and the source as it was fetched."""

    store: Store
    node: Node
    tree: Tree
    version: str
    folders: Mapping[str, Path]

    @classmethod
    def of(cls, request: Request, source: str, observers: Observers, *, keep_lock: bool = True) -> Series:
        """Fetch a source, without applying anything.

        Args:
            keep_lock: as for :func:`whole`.

        Raises:
            UsageError: ``no-series``: nothing changes the source.
        """

        def fetched(prepared: Prepared) -> str:
            address = source_address(prepared.resolved, source)
            if not address.startswith("patch:"):
                raise UsageError(f"nothing patches {source}", reason="no-series", hint="k8sbuild help patch-refresh")
            return prepared.graph.nodes[address].inputs[0].step

        tree, prepared = _run(request, fetched, observers, keep_lock=keep_lock)
        node = prepared.graph.nodes[source_address(prepared.resolved, source)]
        version = prepared.resolved.sources[source].version
        return cls(store=prepared.store, node=node, tree=tree, version=version, folders=_folders(prepared, source))

    def stop(self, name: str = "") -> Stop | None:
        """Apply the series up to the first patch that fails, or to the one that is named; its files are read now."""
        return partial.stop(self.files, self._contributions(), name)

    def _contributions(self) -> list[Contribution]:
        rows = cast("list[dict[str, Any]]", self.node.step.params["patches"])
        return contributions(rows, {name: _read(name, self.folders[name]) for name in self.node.local})

    @property
    def files(self) -> StoreTree:
        """The source as it was fetched, as the patching library sees it."""
        return StoreTree(self.store, self.tree)

    def named(self, text: str) -> str:
        """Return the whole name of a patch: ``plugin/series/0001-name.patch``.

        Args:
            text: its file's name, with or without the ending, or its beginning (``0001``).

        Raises:
            UsageError: ``unknown-patch``.
        """
        names = [item.name for row in self._contributions() for item in row.items if isinstance(item, Patch)]
        short = {name: name.rpartition("/")[2].removesuffix(".patch") for name in names}
        wanted = text.removesuffix(".patch")
        found = [n for n in names if wanted in (short[n], n.removesuffix(".patch"))]
        found = found or [n for n in names if short[n].startswith(f"{wanted}-")]
        if len(found) != 1:
            known = suggest(text, [f"{name}.patch" for name in short.values()])
            raise UsageError(
                f"{text!r} names {len(found) or 'no'} patch{'es' * (len(found) > 1)} of the series{known}",
                reason="unknown-patch",
                hint=", ".join(found or names),
            )
        return found[0]

    def folder(self, patch: str) -> Path:
        """Return the folder that a patch, by its whole name, is in."""
        return self.folders[patch.rpartition("/")[0]].resolve()

    def after(self, changes: Mapping[str, File | None]) -> Tree:
        """Return the source's tree with changes, put into the store."""
        return self.store.edit(self.tree, changes_of(changes))


def _read(name: str, folder: Path) -> Files:
    return local.folder(folder, series_missing(name, folder))


def _folders(prepared: Prepared, source: str) -> dict[str, Path]:
    """Return the folder of each series of a source, by the name that the patch step has for it."""
    return {series.name: series.folder for series in series_of(prepared.resolved) if series.source == source}
