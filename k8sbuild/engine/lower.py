"""Lowers what plugins yield to steps.

One rule per kind; the functions that do the work are in :mod:`k8sbuild.stages`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild.build import fill
from k8sbuild.errors import PlanError, suggest
from k8sbuild.kinds import (
    Archive,
    Check,
    Collect,
    Edit,
    Generator,
    GoBinary,
    Overlay,
    PatchSeries,
    Source,
    Step,
    SystemdUnit,
    Template,
)
from k8sbuild.pins import Release

from .address import Address, parse
from .graph import Node
from .keys import as_data, code_digest, compact, digest, file_components, literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from k8sbuild.build import Build
    from k8sbuild.plugins import Plugin
    from k8sbuild.resolve import Program

    from .contribute import Contributions

__all__ = ["Resolved", "lower"]

#: Raised when the meaning of a kind's run function changes.
REVISIONS = {
    "Source": 1, "GoModules": 1, "Patches": 1, "GoModule": 1, "Template": 1, "GoBinary": 1, "Archive": 1, "Check": 1,
}  # fmt: skip

#: The engine's own name in addresses.
ENGINE = "k8sbuild"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Everything that is known before the graph is made."""

    build: Build
    contributions: Contributions
    sources: Mapping[str, Source]
    programs: Mapping[str, Program]
    releases: Mapping[str, Release]
    toolchains: Mapping[str, Source]
    pinned: Callable[[Source], str | None]
    sums: Callable[[Iterable[str]], Mapping[str, tuple[str, str]] | None]
    owners: Mapping[str, str] = field(default_factory=dict)
    user_patches: Mapping[str, Path] = field(default_factory=dict)
    tree_state: str = "clean"
    local_toolchain: str = ""


def lower(r: Resolved) -> list[Node]:
    """Return the nodes of a build; edges are checked by :func:`k8sbuild.engine.graph.connect`."""
    nodes = [
        *_toolchains(r),
        *_sources(r),
        *_patches(r),
        *_modules(r),
        *_templates(r),
        *_generators(r),
        *_binaries(r),
        *_archives(r),
        *_checks(r),
        *_steps(r),
    ]
    return [_fill(node, nodes, r) for node in nodes]


def node(
    stage: Any,
    plugin: str,
    kind: str,
    step: Step,
    *,
    local: Mapping[str, Path] | None = None,
    pinned: Callable[[], str | None] | None = None,
    note: str = "",
    data: Mapping[str, Any] | None = None,
) -> Node:
    """Return a node without resolved collections.

    Raises:
        PlanError: ``bad-address`` where the step's name cannot be part of one.
    """
    if not step.name or "/" in step.name or ":" in step.name:
        raise PlanError(
            f"plugin {plugin}: the {kind} {step.name!r} must have a name without '/' and ':'", reason="bad-address"
        )
    return Node(
        address=Address(stage, plugin, step.name),
        kind=f"{kind}@{step.revision if kind in ('Step', 'Generator', 'Check') else REVISIONS[kind]}",
        step=step,
        local=local or {},
        pinned=pinned,
        note=note,
        data=data or {},
    )


def source_address(r: Resolved, name: str) -> str:
    """Return where a source's tree is: patched if anything patches it.

    Raises:
        PlanError: ``unknown-source``.
    """
    if name not in r.sources:
        raise PlanError(f"no source {name!r}{suggest(name, r.sources)}", reason="unknown-source")
    stage = "patch" if any(True for _ in _series(r, name)) else "fetch"
    return f"{stage}:{r.owners[name]}/{name}"


def _toolchains(r: Resolved) -> Iterator[Node]:
    seen = set()
    for source in r.toolchains.values():
        if source.version not in seen:
            seen.add(source.version)
            yield _source_node(r, ENGINE, replace(source, name=_go_name(source)), source)


def _go_name(source: Source) -> str:
    """``go1.25.5.linux-amd64``: the module's version without its constant part."""
    return source.version.removeprefix("v0.0.1-")


def _sources(r: Resolved) -> Iterator[Node]:
    for source in r.sources.values():
        yield _source_node(r, r.owners[source.name], source, source)


def _source_node(r: Resolved, plugin: str, named: Source, source: Source) -> Node:
    step = Step(
        name=named.name,
        stage="fetch",
        run="k8sbuild.stages.fetch:source",
        params={"source": as_data(source)},
        needs_network=True,
        memory=200,
    )
    return node("fetch", plugin, "Source", step, pinned=lambda: r.pinned(source), data={"source": source})


def _series(r: Resolved, source: str) -> Iterator[tuple[Plugin | None, Any]]:
    """Yield what changes a source, plugin by plugin, each one's series before its edits; the user's own last."""
    plugins = dict.fromkeys(c.plugin.name for c in r.contributions.items)
    for name in plugins:
        for plugin, item in _changes(r):
            if plugin.name == name and item.source == source:
                yield plugin, item
    if source in r.user_patches:
        yield None, PatchSeries(name="project", source=source, root=str(r.user_patches[source]))


def _changes(r: Resolved) -> Iterator[tuple[Plugin, PatchSeries | Edit]]:
    yield from r.contributions.of(PatchSeries)
    yield from r.contributions.of(Edit)


def _patches(r: Resolved) -> Iterator[Node]:
    for plugin, item in _changes(r):
        if item.source not in r.sources:
            raise PlanError(
                f"plugin {plugin.name}: {type(item).__name__} {item.name!r} is for the source {item.source!r}, "
                f"which nobody fetches{suggest(item.source, r.sources)}",
                reason="unknown-source",
            )
    for source in r.sources:
        items = list(_series(r, source))
        if items:
            yield _patch_node(r, source, items)


def _patch_node(r: Resolved, source: str, items: list[tuple[Plugin | None, Any]]) -> Node:
    local = {}
    rows = []
    for plugin, item in items:
        who = plugin.name if plugin else "project"
        row = {"plugin": who, "after": sorted(plugin.info.after) if plugin else ["*"], "item": as_data(item)}
        if isinstance(item, PatchSeries):
            name = f"{who}/{item.name}"
            local[name] = (plugin.folder / item.root) if plugin else Path(item.root)
            only = None if item.only is None else list(item.only)
            row |= {"local": name, "item": {"name": item.name, "only": only}}
        rows.append(row)
    step = Step(
        name=source,
        stage="patch",
        run="k8sbuild.stages.patch:apply",
        inputs=(f"fetch:{r.owners[source]}/{source}",),
        params={"rows": rows, "version": r.sources[source].version, "source": source},
        memory=200,
    )
    return node("patch", r.owners[source], "Patches", step, local=local)


def _modules(r: Resolved) -> Iterator[Node]:
    for program in r.programs.values():
        yield _zips_node(r, program)
        yield _module_node(r, program)


def _zips_node(r: Resolved, program: Program) -> Node:
    names = program.downloads()
    step = Step(
        name=f"{program.module.name}-modules",
        stage="fetch",
        run="k8sbuild.stages.fetch:modules",
        params={"modules": list(names)},
        needs_network=True,
        memory=150,
    )

    def pinned() -> str | None:
        sums = r.sums(names)
        return None if sums is None else digest(compact({n: list(s) for n, s in sums.items()}).encode())

    return node("fetch", program.plugin, "GoModules", step, pinned=pinned)


def _module_node(r: Resolved, program: Program) -> Node:
    overlays = [(p, o) for p, o in r.contributions.of(Overlay) if _belongs(r, o.module, program)]
    generators = [
        f"codegen:{p.name}/{g.name}" for p, g in r.contributions.of(Generator) if _belongs(r, g.module, program)
    ]
    sources = {path: source_address(r, req.source) for req in program.requires if req.source for path in (req.path,)}
    step = Step(
        name=program.module.name,
        stage="codegen",
        run="k8sbuild.stages.codegen:module",
        inputs=(f"fetch:{program.plugin}/{program.module.name}-modules", *generators),
        outputs=("go.mod", "go.sum"),
        params={
            "path": program.module.path,
            "go": program.needs_go,
            "godebug": dict(program.godebug),
            "requires": {row[0]: row[1] for row in program.modules},
            "replaces": {row[0]: list(row[2:]) for row in program.modules if row[3] and row[2:] != row[:2]},
            "local": dict(program.local),
            "sources": sources,
            "overlays": [_overlay_row(p, o) for p, o in overlays],
            "generators": generators,
        },
        memory=120,
    )
    local = {f"{p.name}/{o.name}": p.folder / o.root for p, o in overlays}
    return node("codegen", program.plugin, "GoModule", step, local=local)


def _overlay_row(plugin: Plugin, overlay: Overlay) -> dict[str, Any]:
    return {
        "plugin": plugin.name,
        "name": overlay.name,
        "local": f"{plugin.name}/{overlay.name}",
        "into": overlay.into,
        "replaces": list(overlay.replaces),
    }


def _toolchain_of(r: Resolved, program: Program) -> Source:
    return r.toolchains[program.name]


def _belongs(r: Resolved, module: str, program: Program) -> bool:
    if module and module not in r.programs:
        raise PlanError(f"no Go module {module!r}{suggest(module, r.programs)}", reason="unknown-module")
    return module == program.name or (not module and len(r.programs) == 1)


def _program(r: Resolved, module: str, what: str) -> Program:
    found = [p for p in r.programs.values() if _belongs(r, module, p)]
    if not found:
        names = ", ".join(r.programs) or "(none)"
        raise PlanError(f"{what} must name one of the modules {names}", reason="unknown-module")
    return found[0]


def _templates(r: Resolved) -> Iterator[Node]:
    for plugin, item in r.contributions.of(Template):
        yield _template_node(r, plugin, item, "template", item.mode)
    for plugin, unit in r.contributions.of(SystemdUnit):
        yield _template_node(r, plugin, unit, "unit", 0o644)


def _template_node(r: Resolved, plugin: Plugin, item: Template | SystemdUnit, function: str, mode: int) -> Node:
    step = Step(
        name=item.name,
        stage="codegen",
        run=f"k8sbuild.stages.codegen:{function}",
        outputs=(item.file,),
        params={"file": item.file, "values": _filled(r.build.placeholders(), plugin, item, item.values), "mode": mode},
    )
    return node("codegen", plugin.name, "Template", step, local={"template": plugin.folder / item.path})


def _filled(values: Mapping[str, str], plugin: Plugin, item: Any, texts: Mapping[str, str]) -> dict[str, str]:
    """Return an item's texts with their placeholders filled in."""
    who = f"plugin {plugin.name}: {type(item).__name__} {item.name}"
    return {name: fill(text, values, who) for name, text in sorted(texts.items())}


def _generators(r: Resolved) -> Iterator[Node]:
    for plugin, g in r.contributions.of(Generator):
        module = _program(r, g.module, f"Generator {g.name}").module.path
        step = Step(
            name=g.name,
            stage="codegen",
            run=g.run,
            inputs=g.inputs,
            params={"module": module, **g.params},
            revision=g.revision,
        )
        yield node("codegen", plugin.name, "Generator", step)


def _binaries(r: Resolved) -> Iterator[Node]:
    for plugin, binary in r.contributions.of(GoBinary):
        program = _program(r, binary.module, f"GoBinary {binary.name}")
        yield node("compile", plugin.name, "GoBinary", _binary_step(r, plugin, binary, program))


def _binary_step(r: Resolved, plugin: Plugin, binary: GoBinary, program: Program) -> Step:
    module = f"codegen:{program.plugin}/{program.module.name}"
    values = {**r.build.placeholders(), **_release_values(r)}
    toolchain = "" if r.local_toolchain else f"fetch:{ENGINE}/{_go_name(_toolchain_of(r, program))}"
    trees = [source_address(r, q.source) for q in program.requires if q.source]
    output = binary.output or binary.name
    return Step(
        name=binary.name,
        stage="compile",
        run="k8sbuild.stages.compile:go_binary",
        inputs=(module, f"fetch:{program.plugin}/{program.module.name}-modules", *trees, *filter(None, [toolchain])),
        outputs=(output,),
        params={
            "module": module,
            "modules": f"fetch:{program.plugin}/{program.module.name}-modules",
            "trees": trees,
            "toolchain": toolchain or r.local_toolchain,
            "go": _go_name(_toolchain_of(r, program)).rsplit(".", 1)[0],
            "package": binary.package,
            "output": output,
            "tags": list(binary.tags),
            "ldflags": _filled(values, plugin, binary, binary.ldflags),
            "cgo": binary.cgo,
            "os": r.build.platform.os,
            "arch": r.build.platform.arch,
        },
        env=dict(binary.env),
        cores=0,
        memory=1500,
    )


def _release_values(r: Resolved) -> dict[str, str]:
    """Return ``{commit}``, ``{date}``, ``{tree_state}``, ``{major}``, ``{minor}`` for ldflags."""
    release = r.releases.get("kubernetes", Release())
    major, minor = r.build.k8s.removeprefix("v").split(".")[:2]
    return {
        "commit": release.commit,
        "date": release.time,
        "tree_state": r.tree_state,
        "major": major,
        "minor": minor,
    }


def _archives(r: Resolved) -> Iterator[Node]:
    values = r.build.placeholders()
    date = r.releases.get("kubernetes", Release()).time
    for plugin, archive in r.contributions.of(Archive):
        names = _filled(values, plugin, archive, {"file": archive.file, "prefix": archive.prefix})
        paths = _filled(values, plugin, archive, {m.path: m.path for m in archive.members})
        rows = [{"address": m.address, "path": paths[m.path], "mode": m.mode} for m in archive.members]
        licences = {address: _licence_inputs(r, address) for address in archive.licences}
        places = [address for inputs in licences.values() for address in inputs]
        step = Step(
            name=archive.name,
            stage="package",
            run="k8sbuild.stages.package:archive",
            inputs=tuple(dict.fromkeys([*(m.address for m in archive.members), *archive.licences, *places])),
            outputs=(names["file"],),
            params={
                **names,
                "members": rows,
                "licences": licences,
                "date": date,
            },
            memory=400,
        )
        yield node("package", plugin.name, "Archive", step)


def _licence_inputs(r: Resolved, address: str) -> list[str]:
    """Return where the licence texts of a Go binary's modules are: zips and source trees."""
    target = parse(address)
    for plugin, binary in r.contributions.of(GoBinary):
        if (plugin.name, binary.name) == (target.plugin, target.name):
            program = _program(r, binary.module, f"GoBinary {binary.name}")
            trees = [source_address(r, q.source) for q in program.requires if q.source]
            return [f"fetch:{program.plugin}/{program.module.name}-modules", *trees]
    raise PlanError(f"licences of {address}: no such GoBinary", reason="unknown-address")


def _checks(r: Resolved) -> Iterator[Node]:
    for plugin, check in r.contributions.of(Check):
        step = Step(
            name=check.name,
            stage="validate",
            run=check.run,
            inputs=check.inputs,
            params=dict(check.params),
            revision=check.revision,
            cores=1,
            memory=600 if check.live else 100,
        )
        note = "" if check.enabled else check.why or "not enabled"
        yield node("validate", plugin.name, "Check", step, note=note, data={"live": check.live})


def _steps(r: Resolved) -> Iterator[Node]:
    for contribution in r.contributions.items:
        step = contribution.item
        if isinstance(step, Step):
            if step.needs_network and step.stage != "fetch":
                raise PlanError(f"step {step.name}: only the fetch stage may use the network", reason="network-step")
            yield node(step.stage, contribution.plugin.name, "Step", step, data={"plugin": contribution.plugin})


def _fill(item: Node, nodes: list[Node], r: Resolved) -> Node:
    """Fill in collections, parse inputs, and compute the static part of the key."""
    inputs: list[str] = []
    for given in item.step.inputs:
        inputs += _collected(given, nodes, r) if isinstance(given, Collect) else [given]
    params = {n: r.contributions.collect(v) if isinstance(v, Collect) else v for n, v in item.step.params.items()}
    step = replace(item.step, inputs=tuple(dict.fromkeys(inputs)), params=params)
    addresses = tuple(parse(text) for text in dict.fromkeys(inputs))
    return replace(item, step=step, inputs=addresses, components=_components(item, step))


def _collected(wanted: Collect, nodes: list[Node], r: Resolved) -> list[str]:
    labelled = {(row[0], row[1]) for row in r.contributions.collect(wanted)} if wanted.label else None
    return [
        n.name
        for n in nodes
        if n.kind.partition("@")[0] == wanted.kind
        and (labelled is None or (n.address.plugin, n.address.name) in labelled)
    ]


def _components(item: Node, step: Step) -> dict[str, str]:
    parts = {"kind": item.kind}
    if item.pinned is not None:
        return parts | {"name": item.name}
    parts |= {f"param:{name}": _param(item, name, value) for name, value in step.params.items()}
    parts |= {f"env:{name}": value for name, value in step.env.items()}
    parts |= {f"secret:{name}": "" for name in step.secrets}
    for name, root in item.local.items():
        parts |= file_components(name, root)
    if not step.run.startswith("k8sbuild."):
        parts["code"] = _code(item, step.run)
    return parts


def _param(item: Node, name: str, value: Any) -> str:
    try:
        return literal(as_data(value))
    except TypeError as error:
        raise PlanError(f"{item.name}: the parameter {name!r} is no JSON data: {error}", reason="bad-param") from error


def _code(item: Node, run: str) -> str:
    try:
        return code_digest(run)
    except ImportError as error:
        raise PlanError(f"{item.name}: cannot import {run!r}: {error}", reason="bad-run-function") from error
