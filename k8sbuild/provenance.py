"""What goes into build.json: the inputs that decide the bytes, and the facts of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .engine.keys import as_data
from .engine.lower.sources import ENGINE
from .fetching import source_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .engine.run import Outcome
    from .kinds import Source
    from .project import Prepared

__all__ = ["inputs_of", "run_of"]

#: Options that say where and how, not what.
_OF_THE_RUN = frozenset(
    {"jobs", "offline", "locked", "verify", "check-store", "out", "provider", "set", "skip-validate", "toolchain"}
)


def inputs_of(prepared: Prepared, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """Return what is equal for every provider, folder, user and day."""
    resolved = prepared.resolved
    took_part = {node.address.plugin for node in prepared.graph.nodes.values()}
    plugins = {
        p.name: p.version
        for p in prepared.setup.plugins
        if p.contributes_to(prepared.build.target) or p.name in took_part
    }
    results = {name: o.result for name, o in outcomes.items() if o.result}
    trees = {name: result.tree for name, result in results.items()}
    return {
        "target": prepared.build.target,
        "k8s": prepared.build.k8s,
        "platform": str(prepared.build.platform),
        "sources": {source_key(s): trees.get(address, "") for address, s in _sources(prepared).items()},
        "trees": {name: digest for name, digest in trees.items() if not name.startswith(("fetch:", "validate:"))},
        "patches": {
            name: {key[5:]: value for key, value in node.components.items() if key.startswith("file:")}
            for name, node in prepared.graph.nodes.items()
            if name.startswith("patch:")
        },
        "generated": {name: r.facts["generated"] for name, r in results.items() if "generated" in r.facts},
        "plugins": plugins,
        "compression": {
            name: node.step.params["level"]
            for name, node in prepared.graph.nodes.items()
            if node.made_of in ("Archive", "OciImage", "ImageBundle")
        },
        "toolchain": {
            name: resolved.own_go.release if resolved.own_go else s.version for name, s in resolved.toolchains.items()
        },
        "modules": {
            name: {"count": len(p.modules), "raised": [dict(row) for row in p.raised]}
            for name, p in resolved.programs.items()
        },
        "options": {
            key: as_data(value)
            for key, value in sorted(prepared.build.options.items())
            if key.partition(".")[0] in plugins
        },
    }


def _sources(prepared: Prepared) -> dict[str, Source]:
    """Return by address the sources of a build, and of the targets that it takes from; no toolchains."""
    return {
        name: node.source
        for name, node in prepared.graph.nodes.items()
        if node.source and node.address.plugin != ENGINE
    }


def run_of(prepared: Prepared, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """Return where things came from and what was left out."""
    base = prepared.setup
    sources = _sources(prepared).values()

    def locked(source: Source) -> Mapping[str, Any]:
        return prepared.lock.get("sources", source_key(source)) or {}

    return {
        "providers": {s.name: prepared.fetcher.kind(s) for s in sources},
        "transports": {source_key(s): locked(s).get("transports", {}) for s in sources},
        "trust": {source_key(s): locked(s).get("trust", "local") for s in sources},
        "toolchain": base.text("toolchain") or "pinned",
        "skipped": {o.step: o.why for o in outcomes.values() if o.state == "skipped"},
        "validated": not base.flag("skip-validate"),
        "live": not base.flag("fast") and not base.flag("skip-validate"),
        "checks": {name: o.result.facts for name, o in outcomes.items() if name.startswith("validate:") and o.result},
        "options": {name: as_data(base.values[name]) for name in sorted(_OF_THE_RUN & base.values.keys())},
    }
