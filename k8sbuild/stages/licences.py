"""Licence texts: out of modules' zips when these are fetched, into archives for the modules that a program links."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING

from k8sbuild.engine.address import parse
from k8sbuild.engine.inside import inside
from k8sbuild.golang.binary import build_info, function_packages
from k8sbuild.stages.tar import Member

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from k8sbuild.engine.context import StepContext
    from k8sbuild.golang.binary import BuildInfo, Module
    from k8sbuild.store.store import Store
    from k8sbuild.store.tree import Entry, Tree

__all__ = ["of_binaries", "of_zips"]

_LICENCE = re.compile(r"^(LICEN[CS]E|COPYING|NOTICE|PATENTS|UNLICENSE)([.\-_].*)?$", re.IGNORECASE)
#: Folder of the texts beside the zips.
_FOLDER = "licences"


def of_zips(store: Store, zips: Tree) -> dict[str, tuple[int, bytes]]:
    """Return the licence texts of all modules, by path: to look through 200 zips takes every archive half a second."""
    return {
        f"{_FOLDER}/{name}": (0o644, data)
        for path, entry in zips.entries.items()
        if path.endswith(".zip")
        for name, data in _read(store.read(entry))
    }


def _read(data: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        yield from ((name, file.read(name)) for name in file.namelist() if _is_licence(name))


def of_binaries(ctx: StepContext) -> dict[str, Member]:
    """Return the licence texts of every module that the binaries link, nested ones of linked packages too.

    ``params["licences"]`` has, by the address of each binary, where its modules are: zips, then source trees;
    ``params["prefix"]`` is what the texts' folder is in.
    """
    found: dict[str, Member] = {}
    prefix = f"{ctx.params.get('prefix', '')}licences/"
    missing = []
    for address, places in ctx.params["licences"].items():
        texts = _Texts(ctx, places)
        binary = ctx.path(address)
        linked = _linked(build_info(binary), itself=texts.vendored)
        modules = {module.path: module.replace or module for module in linked}
        folders = _folders(function_packages(binary), modules)
        for path, used in modules.items():
            own = texts.of(used.path, used.version, folders[path])
            missing += [] if own else [path]
            found |= {f"{prefix}{path}/{name}": Member(mode=0o644, content=data) for name, data in own.items()}
    ctx.facts["without_licence"] = sorted(set(missing))
    return found


def _linked(info: BuildInfo, *, itself: bool) -> Iterator[Module]:
    """Yield the modules that are linked; the main one only with ``itself``, where it is not the build's own."""
    for module in (info.main, *info.modules):
        if module and (itself or module.replace or module.version != "(devel)"):
            yield module


def _folders(packages: Iterable[str], modules: Iterable[str]) -> dict[str, set[str]]:
    """Return, by module, the folders in which its licence may be: of each linked package, and all above it.

    >>> {module: sorted(found) for module, found in _folders(["a/b/c/d", "a/b", "x"], ["a", "a/b"]).items()}
    {'a': [''], 'a/b': ['', 'c', 'c/d']}
    """
    found = {module: {""} for module in modules}
    for package in packages:
        parts = package.split("/")
        heads = ("/".join(parts[:n]) for n in range(len(parts), 0, -1))
        module = next((head for head in heads if head in found), None)
        if module is not None:
            inner = package[len(module) + 1 :].split("/")
            found[module] |= {"/".join(inner[: n + 1]) for n in range(len(inner))}
    return found


class _Texts:
    """Licence files of modules: beside their zips, or in the trees of sources that replace them."""

    def __init__(self, ctx: StepContext, places: list[str]) -> None:
        self._trees = inside(ctx).trees
        self._read = inside(ctx).store.read
        self._zips = parse(places[0]).step
        #: The first place has no zips, but is the source's own tree, with the code of other modules in ``vendor/``.
        self.vendored = "vendor/modules.txt" in self._trees[self._zips].entries
        self._files: dict[str, dict[str, Entry]] = {}

    def of(self, path: str, version: str, folders: Collection[str]) -> dict[str, bytes]:
        """Return licence files in some folders of a module, by path in it.

        Args:
            path: of the module, or a relative folder in the work trees.
        """
        beside = self._vendored(path) if self.vendored else f"{_FOLDER}/{path}@{version}"
        found = self._of_tree(path) if path.startswith(".") else self._below(self._zips, beside)
        return {name: self._read(entry) for name, entry in found if name.rpartition("/")[0] in folders}

    def _vendored(self, path: str) -> str:
        """Return the folder of a module in a source's own tree, whose main module is the tree itself."""
        folder = f"vendor/{path}"
        return folder if any(name.startswith(f"{folder}/") for name in self._trees[self._zips].entries) else ""

    def _of_tree(self, relative: str) -> Iterator[tuple[str, Entry]]:
        for step in self._trees:
            root = parse(step).beside
            if relative == root or relative.startswith(root + "/"):
                yield from self._below(step, relative[len(root) + 1 :])

    def _below(self, step: str, folder: str) -> Iterator[tuple[str, Entry]]:
        top = f"{folder}/" if folder else ""
        for path, entry in self._listed(step).items():
            if path.startswith(top):
                yield path[len(top) :], entry

    def _listed(self, step: str) -> dict[str, Entry]:
        if step not in self._files:
            entries = self._trees[step].entries
            self._files[step] = {path: entries[path] for path in entries if _is_licence(path)}
        return self._files[step]


def _is_licence(path: str) -> bool:
    return _LICENCE.match(path.rpartition("/")[2]) is not None
