"""Commands in an edit tree: the build's Go, and the distribution's module that takes the source from there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8sbuild.building import build
from k8sbuild.engine.address import parse
from k8sbuild.engine.extend import with_go
from k8sbuild.engine.lower import tree_address
from k8sbuild.store.files import write_file
from k8sbuild.store.worktree import sync

from .place import Place
from .start import start

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k8sbuild.building import Observers
    from k8sbuild.engine.graph import Graph
    from k8sbuild.project import Prepared, Request

__all__ = ["Shell", "shell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """How commands are run in an edit tree.

    Args:
        folder: the edit tree.
        module: a copy of the distribution's Go module that takes the source from the edit tree.
        env: the whole environment of the compile step.
    """

    folder: str
    module: str
    env: Mapping[str, str]


def shell(request: Request, source: str, *, observers: Observers = ()) -> Shell:
    """Prepare commands in a source's edit tree, which is laid out when there is none.

    Raises:
        UsageError: ``no-go-module``.
    """
    place = Place.of(request, source)
    if not place.exists():
        start(request, source, observers=observers)
    address = ""

    def choose(prepared: Prepared) -> Graph:
        nonlocal address
        address = tree_address(prepared.resolved, source)
        return with_go(prepared, "shell", "k8sbuild.stages.gotest:environment", lambda _: ({}, ()))

    report = build(request, choose=choose, observers=observers)
    results = {o.step: o.result for o in report.outcomes if o.result}
    ready = next(result for step, result in results.items() if step.endswith("-shell"))
    module = results[ready.facts["address"]]
    folder = place.folder.with_name(f"{source}.module")
    sync(place.store, place.store.load(module.tree), folder)
    trees = {**ready.facts["trees"], address: str(place.folder)}
    text = (folder / "go.mod").read_text(encoding="utf-8")
    write_file(folder / "go.mod", _redirected(text, trees).encode())
    # The step's own temporary folder is gone with the run.
    env = {name: value for name, value in ready.facts["env"].items() if name != "GOTMPDIR"}
    return Shell(folder=str(place.folder), module=str(folder), env=env)


def _redirected(go_mod: str, trees: Mapping[str, str]) -> str:
    """Return a go.mod whose relative replacements name folders: the edit tree, and the work trees of the others."""
    by_path = {parse(address).beside: folder for address, folder in trees.items()}
    names = "|".join(re.escape(path) for path in by_path)
    return re.sub(rf"({names})(?=[/\s])", lambda found: by_path[found[1]], go_mod) if names else go_mod
