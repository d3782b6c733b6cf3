"""What goes into build.json: the inputs that decide the bytes, and the facts of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .engine.keys import as_data
from .fetching import source_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .engine.run import Outcome
    from .project import Prepared

__all__ = ["inputs_of", "run_of"]

#: Options that say where and how, not what.
_OF_THE_RUN = frozenset(
    {"jobs", "offline", "locked", "verify", "check-store", "out", "provider", "set", "skip-validate", "toolchain"}
)


def inputs_of(prepared: Prepared, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """Return what is equal for every provider, folder, user and day."""
    r = prepared.resolved
    plugins = {p.name: p.version for p in prepared.setup.plugins if p.contributes_to(prepared.build.target)}
    trees = {name: o.result.tree for name, o in outcomes.items() if o.result}
    return {
        "target": prepared.build.target,
        "k8s": prepared.build.k8s,
        "platform": str(prepared.build.platform),
        "sources": {source_key(s): trees.get(f"fetch:{r.owners[s.name]}/{s.name}", "") for s in r.sources.values()},
        "trees": {name: digest for name, digest in trees.items() if not name.startswith(("fetch:", "validate:"))},
        "patches": {
            name: {key[5:]: value for key, value in node.components.items() if key.startswith("file:")}
            for name, node in prepared.graph.nodes.items()
            if name.startswith("patch:")
        },
        "plugins": plugins,
        "compression": {
            name: node.step.params["level"]
            for name, node in prepared.graph.nodes.items()
            if node.kind.startswith("Archive@")
        },
        "toolchain": {name: s.version for name, s in r.toolchains.items()},
        "modules": {
            name: {"count": len(p.modules), "raised": [dict(row) for row in p.raised]} for name, p in r.programs.items()
        },
        "options": {
            key: as_data(value)
            for key, value in sorted(prepared.build.options.items())
            if key.partition(".")[0] in plugins
        },
    }


def run_of(prepared: Prepared, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """Return where things came from and what was left out."""
    lock = prepared.lock
    base = prepared.setup
    return {
        "providers": {s.name: prepared.fetcher.kind(s) for s in prepared.resolved.sources.values()},
        "transports": {
            source_key(s): (lock.get("sources", source_key(s)) or {}).get("transports", {})
            for s in prepared.resolved.sources.values()
        },
        "trust": {
            source_key(s): (lock.get("sources", source_key(s)) or {"trust": "local"})["trust"]
            for s in prepared.resolved.sources.values()
        },
        "toolchain": base.text("toolchain") or "pinned",
        "skipped": {o.step: o.why for o in outcomes.values() if o.state == "skipped"},
        "validated": not base.flag("skip-validate"),
        "live": not base.flag("fast") and not base.flag("skip-validate"),
        "checks": {
            name: o.result.facts for name, o in outcomes.items() if name.startswith("validate:") and o.result
        },
        "options": {name: as_data(base.values[name]) for name in sorted(_OF_THE_RUN & base.values.keys())},
    }
