"""Go modules that a build assembles: the zips they need, and the module's own tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8sbuild.engine import local
from k8sbuild.engine.keys import compact, digest
from k8sbuild.errors import CodegenError, PlanError
from k8sbuild.kinds import Generator, GoReplace, GoRequire, Overlay, Step

from .generated import tree_address
from .resolved import Resolved, node, zips_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8sbuild.engine.graph import Node
    from k8sbuild.engine.local import Files
    from k8sbuild.plugins import Plugin
    from k8sbuild.resolve import Program

__all__ = ["module_address", "modules", "overlay_files", "program_of", "trees_of"]


def modules(r: Resolved) -> Iterator[Node]:
    """Yield, for each program, the step that fetches its modules and the one that makes its own."""
    for program in r.programs.values():
        if program.module.source:
            _hold_as_it_is(r, program)
        else:
            yield _zips_node(r, program)
            yield _module_node(r, program)


def module_address(r: Resolved, program: Program) -> str:
    """Return where the tree of a program's main module is."""
    own = program.module.source
    return tree_address(r, own) if own else f"codegen:{program.plugin}/{program.module.name}"


def _hold_as_it_is(r: Resolved, program: Program) -> None:
    """Refuse what would be added to a module that is a source's own tree."""
    of = r.contributions.of
    added: list[tuple[Plugin, GoRequire | GoReplace | Overlay | Generator]]
    added = [*of(GoRequire), *of(GoReplace), *of(Overlay), *of(Generator)]
    for plugin, item in added:
        if item.module == program.name:
            raise PlanError(
                f"plugin {plugin.name}: {type(item).__name__} {item.name} is for the module {program.name}, "
                f"which is the source {program.module.source} as it is",
                reason="vendored-module",
                hint="change it by patches and edits of the source",
            )


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
    overlays = [(p, o) for p, o in r.contributions.of(Overlay) if o.module == program.name]
    generators = [f"codegen:{p.name}/{g.name}" for p, g in r.contributions.of(Generator) if g.module == program.name]
    sources = {item.path: tree_address(r, item.source) for item in program.requires if item.source}
    step = Step(
        name=program.module.name,
        stage="codegen",
        run="k8sbuild.stages.codegen:module",
        inputs=(zips_of(program), *generators),
        outputs=("go.mod", "go.sum"),
        params={
            **program.go_mod(),
            "path": program.module.path,
            "godebug": dict(program.godebug),
            "local": dict(program.local),
            "sources": sources,
            "modules": zips_of(program),
            "overlays": [_overlay_row(p, o) for p, o in overlays],
            "generators": generators,
        },
        memory=120,
    )
    files = {f"{p.name}/{o.name}": overlay_files(p, o) for p, o in overlays}
    return node("codegen", program.plugin, "GoModule", step, local=files)


def overlay_files(plugin: Plugin, overlay: Overlay) -> Files:
    """Return an overlay's files.

    Raises:
        CodegenError: ``overlay-missing``.
    """
    root = plugin.folder / overlay.root
    missing = CodegenError(f"{plugin.name}/{overlay.name}: no folder {root}", reason="overlay-missing")
    return local.folder(root, missing)


def _overlay_row(plugin: Plugin, overlay: Overlay) -> dict[str, Any]:
    return {
        "plugin": plugin.name,
        "name": overlay.name,
        "local": f"{plugin.name}/{overlay.name}",
        "into": overlay.into,
        "replaces": list(overlay.replaces),
    }


def program_of(r: Resolved, module: str, what: str) -> Program:
    """Return the program of the module that an item of a plugin names.

    Raises:
        PlanError: ``unknown-module``.
    """
    if module not in r.programs:
        raise PlanError(f"{what}: no GoBinary is made of the module {module}", reason="unknown-module")
    return r.programs[module]


def trees_of(r: Resolved, program: Program) -> list[str]:
    """Return where the sources are whose trees a program is made of."""
    return [tree_address(r, item.source) for item in program.requires if item.source]
