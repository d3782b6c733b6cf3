"""A step's context without a build, for tests of the functions that steps run.

::

    from k8sbuild.testing import steps

    def test_card(tmp_path):
        ctx = steps.context(tmp_path, {"who": "you"}, inputs={"compile:p/tool": {"tool": (0o755, b"#!/bin/sh")}})
        my_plugin.card(ctx)
        assert (ctx.out / "card.txt").read_text() == "Hello, you!"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8sbuild.engine import local as local_files
from k8sbuild.engine.context import StepContext
from k8sbuild.engine.folders import Folders
from k8sbuild.engine.inside import Inside
from k8sbuild.engine.process import Processes
from k8sbuild.errors import PlanError
from k8sbuild.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from k8sbuild.engine.local import Files
    from k8sbuild.engine.parts import GoParts

__all__ = ["context"]


def context(
    folder: Path,
    params: Mapping[str, Any],
    *,
    inputs: Mapping[str, Files] | None = None,
    local: Mapping[str, Path] | None = None,
    name: str = "validate:test/step",
    cores: int = 1,
    env: Mapping[str, str] | None = None,
    warn: Callable[[str], None] = lambda _: None,
    go_parts: Mapping[str, GoParts] | None = None,
    input_facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> StepContext:
    """Return a context as a run gives it to a function; contexts of one folder share a store, not the output.

    Args:
        folder: where everything is kept that a run would keep.
        params: the step's parameters.
        inputs: by step's address, files as ``(mode, content)`` by path.
        local: by name, a folder or file of the plugin.
        name: the step's address.
        cores: what the pool gave.
        env: of commands; only a ``PATH`` by default.
        warn: called with each warning.
        go_parts, input_facts: of the inputs.
    """
    store = Store(folder / "store")
    out = folder / "out" / str(len(list(folder.glob("out/*"))))
    out.mkdir(parents=True)
    places = {name: folder / name for name in ("work", "cache", "gocache", "scratch", "logs")}
    behind = Inside(
        store=store,
        trees={address: store.save(store.add_files(dict(files))) for address, files in (inputs or {}).items()},
        local_files={name: _taken(path) for name, path in (local or {}).items()},
        folders=Folders(**places),
        processes=Processes(),
        go_parts=go_parts or {},
        input_facts=input_facts or {},
    )
    return StepContext(
        name=name,
        params=params,
        out=out,
        cores=cores,
        env=env if env is not None else {"PATH": "/usr/bin:/bin"},
        progress=lambda *_: None,
        warn=warn,
        _inside=behind,
    )


def _taken(path: Path) -> Files:
    missing = PlanError(f"there is no {path}", reason="not-found")
    return local_files.folder(path, missing) if path.is_dir() else local_files.file(path, missing)
