"""The codegen stage: a Go main module from overlays and generated files; templates."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from k8sbuild.engine.address import parse
from k8sbuild.engine.inside import inside
from k8sbuild.errors import CodegenError, suggest
from k8sbuild.golang.render import render_go_mod, render_go_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from k8sbuild.engine.context import StepContext
    from k8sbuild.store.tree import Tree

__all__ = ["module", "template", "unit"]

_NAME = re.compile(r"@([A-Z][A-Z0-9_]*)@")


def module(ctx: StepContext) -> None:
    """Give the tree of a Go main module: overlays in order, generators' files, go.mod and go.sum."""
    store = inside(ctx).store
    overlays = _overlays(ctx)
    tree = store.add_files(overlays)
    for address in ctx.params["generators"]:
        tree = _add(ctx, tree, address)
    p = ctx.params
    go_mod, go_sum = go_files(
        ctx, module=p["path"], go=p["go"], zips=p["modules"], folder=lambda path: parse(p["sources"][path]).beside
    )
    sums = {"go.mod": (0o644, go_mod.encode()), "go.sum": (0o644, go_sum.encode())}
    inside(ctx).kept = store.edit(tree, sums)


def _overlays(ctx: StepContext) -> dict[str, tuple[int, bytes]]:
    """Return the overlays' files; one that would replace another's without saying so is an error naming both."""
    files: dict[str, tuple[int, bytes]] = {}
    owner: dict[str, str] = {}
    for overlay in ctx.params["overlays"]:
        who = f"{overlay['plugin']}/{overlay['name']}"
        for path, content in ctx.local(overlay["local"]).items():
            target = f"{overlay['into']}/{path}".lstrip("/")
            if target in owner and target not in overlay["replaces"]:
                raise CodegenError(
                    f"{who} and {owner[target]} both have the file {target}",
                    reason="overlay-clash",
                    hint=f"name it in Overlay.replaces of {who} if that is meant",
                )
            files[target] = content
            owner[target] = who
        for path in overlay["replaces"]:
            if path not in owner:
                raise CodegenError(
                    f"{who} says it replaces {path}, which no overlay has{suggest(path, owner)}",
                    reason="overlay-replaces",
                )
    return files


def _add(ctx: StepContext, tree: Tree, address: str) -> Tree:
    made = ctx.tree(address)
    for path in made.entries:
        if path in tree.entries:
            raise CodegenError(f"{address} makes {path}, which an overlay has too", reason="overlay-clash")
    return tree.merged(made)


def go_files(ctx: StepContext, *, module: str, go: str, zips: str, folder: Callable[[str], str]) -> tuple[str, str]:
    """Return go.mod and go.sum: pure functions of what is declared and locked.

    Args:
        ctx: has the build list and who replaces what in its parameters.
        module: path of the main module.
        go: its ``go`` line.
        zips: address of the modules' zips and sums.
        folder: gives the folder of a source's tree by the path of its module.
    """
    p = ctx.params
    replaces: dict[str, tuple[str, str]] = {path: (new[0], new[1]) for path, new in p["replaces"].items()}
    for path, owner in p["local"].items():
        tree = folder(owner or path)
        replaces[path] = (f"{tree}/staging/src/{path}" if owner else tree, "")
    text = render_go_mod(
        module=module, go=go, requires=p["requires"], replaces=replaces, godebug=p.get("godebug") or None
    )
    sums: Mapping[str, Any] = json.loads(ctx.read(f"{zips}/sums.json"))
    return text, render_go_sum({name: (pair[0], pair[1]) for name, pair in sums.items()})


def template(ctx: StepContext) -> None:
    """Write the template with every ``@NAME@`` replaced; unknown and unused names are errors."""
    ((origin, (_, data)),) = ctx.local("template").items()
    text = data.decode("utf-8")
    values: Mapping[str, str] = ctx.params["values"]
    used = set()
    for number, line in enumerate(text.splitlines(), 1):
        for name in _NAME.findall(line):
            used.add(name)
            if name not in values:
                raise CodegenError(
                    f"{origin}:{number}: no value for @{name}@{suggest(name, values)}", reason="template-name"
                )
    if unused := sorted(set(values) - used):
        raise CodegenError(f"{origin}: never uses {', '.join(unused)}", reason="template-name")
    out = ctx.out / ctx.params["file"]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(_NAME.sub(lambda match: values[match[1]], text), encoding="utf-8")
    out.chmod(ctx.params["mode"])


def unit(ctx: StepContext) -> None:
    """Write a systemd unit from its template and check its shape: sections first, ``Key=value`` lines."""
    template(ctx)
    name = ctx.params["file"]
    section = ""
    for number, line in enumerate((ctx.out / name).read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("["):
            section = line
        elif line and not line.startswith(("#", ";", " ", "\t")) and (not section or "=" not in line):
            raise CodegenError(f"{name}:{number}: not a unit file's line: {line!r}", reason="unit-syntax")
