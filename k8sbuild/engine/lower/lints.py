"""Checks that no plugin declares: every build's own code is in order, and why each patch is there is said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from k8sbuild.kinds import Collect, Generator, GoBinary, Overlay, PatchSeries, Step

from .binaries import binary_step
from .patches import changes_of, series_files, source_address
from .resolved import Resolved, node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.engine.graph import Node
    from k8sbuild.plugins import Plugin

__all__ = ["lints"]

#: Of the step that compiles a program, what decides nothing but its bytes.
_OF_BYTES = ("ldflags", "output", "package", "vendored")


def lints(r: Resolved) -> Iterator[Node]:
    """Yield the check of each Go module with packages of the build's own, and that of each source's ledgers."""
    own = {item.module for _, item in r.contributions.of(Overlay)}
    own |= {item.module for _, item in r.contributions.of(Generator)}
    seen: set[str] = set()
    for plugin, binary in r.contributions.of(GoBinary):
        if binary.module in own - seen:
            seen.add(binary.module)
            yield node("validate", r.programs[binary.module].plugin, "GoLint", _code(r, plugin, binary))
    for source in r.sources:
        if any(isinstance(item, PatchSeries) for _, item in changes_of(r, source)):
            yield _ledgers(r, source)


def _code(r: Resolved, plugin: Plugin, binary: GoBinary) -> Step:
    """Return a step that sees what the compile step of a program sees."""
    program = r.programs[binary.module]
    step, linters = binary_step(r, plugin, binary, program), program.module.linters
    seen = {name: value for name, value in step.params.items() if name not in _OF_BYTES}
    asked = {"packages": ["./..."], "local": sorted(program.local), "linters": list(linters)}
    return replace(
        step,
        name=f"{program.module.name}-lint",
        stage="validate",
        run="k8sbuild.stages.gotest:check",
        inputs=(*step.inputs, *linters),
        outputs=(),
        params={**seen, **asked},
        cores=1,
        memory=700,
    )


def _ledgers(r: Resolved, source: str) -> Node:
    rows, local = [], {}
    for plugin, item in changes_of(r, source):
        if isinstance(item, PatchSeries):
            name, files = series_files(plugin, item, source)
            local[name] = {path: files[path] for path in ("ledger.toml", "series") if path in files}
            patches = [path for path in files if path.endswith(".patch")]
            rows.append({"part": name, "patches": patches, "only": None if item.only is None else list(item.only)})
    step = Step(
        name=f"{source}-ledger",
        stage="validate",
        run="k8sbuild.stages.ledgers:check",
        # A patch that does not apply or compile is told as such, whatever is said of it.
        inputs=(source_address(r, source), Collect(kind="GoBinary")),
        params={"series": rows, "source": source, "version": r.sources[source].version},
    )
    return node("validate", r.owners[source], "Ledgers", step, local=local)
