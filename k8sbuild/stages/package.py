"""The package stage: deterministic archives."""

from __future__ import annotations

import io
import re
import zipfile
from functools import partial
from typing import TYPE_CHECKING

from k8sbuild.engine.address import parse
from k8sbuild.engine.inside import inside
from k8sbuild.golang.binary import build_info, function_packages
from k8sbuild.golang.client import escape
from k8sbuild.stages.tar import Member, compressed, epoch, placed, write_tar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from k8sbuild.engine.context import StepContext
    from k8sbuild.golang.binary import BuildInfo, Module
    from k8sbuild.store.tree import Entry

__all__ = ["archive"]

_LICENCE = re.compile(r"^(LICEN[CS]E|COPYING|NOTICE|PATENTS|UNLICENSE)([.\-_].*)?$", re.IGNORECASE)


def archive(ctx: StepContext) -> None:
    """Write ``params["file"]``: a tar with sorted members, one time, no owner; zstd with ``params["level"]``.

    The sum of the uncompressed tar is a fact, since compressed bytes depend on the zstd release.
    """
    p = ctx.params
    members = {**placed(ctx, p["members"], prefix=p["prefix"]), **_licences(ctx)}
    with compressed(ctx.out / p["file"], level=p["level"], cores=ctx.cores) as packed:
        digest = write_tar(packed, members, epoch(p["date"]))
    ctx.facts["sums"] = {p["file"].removesuffix(".zst"): digest}
    ctx.facts["members"] = len(members)


def _licences(ctx: StepContext) -> dict[str, Member]:
    """Return the licence texts of every module that the binaries link, nested ones of linked packages too."""
    found: dict[str, Member] = {}
    prefix = f"{ctx.params['prefix']}licences/"
    missing = []
    for address, places in ctx.params["licences"].items():
        texts = _Texts(ctx, places)
        binary = ctx.path(address)
        modules = {module.path: module.replace or module for module in _linked(build_info(binary))}
        folders = _folders(function_packages(binary), modules)
        for path, used in modules.items():
            own = texts.of(used.path, used.version, folders[path])
            missing += [] if own else [path]
            found |= {f"{prefix}{path}/{name}": Member(mode=0o644, content=data) for name, data in own.items()}
    ctx.facts["without_licence"] = sorted(set(missing))
    return found


def _linked(info: BuildInfo) -> Iterator[Module]:
    """Yield the modules that are linked, but for the one that the build makes itself."""
    for module in (info.main, *info.modules):
        if module and (module.replace or module.version != "(devel)"):
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
    """Licence files of modules: from their zips, or from the trees of sources that replace them."""

    def __init__(self, ctx: StepContext, places: list[str]) -> None:
        self._trees = inside(ctx).trees
        self._read = inside(ctx).store.read
        self._zips = ctx.tree(places[0])
        self._files: dict[str, dict[str, Entry]] = {}

    def of(self, path: str, version: str, folders: Collection[str]) -> dict[str, bytes]:
        """Return licence files in some folders of a module, by path in it.

        Args:
            path: of the module, or a relative folder in the work trees.
        """
        found = self._of_tree(path) if path.startswith(".") else self._of_zip(path, version)
        return {name: read() for name, read in found if name.rpartition("/")[0] in folders}

    def _of_zip(self, path: str, version: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
        entry = self._zips.entries.get(f"cache/download/{escape(path)}/@v/{escape(version)}.zip")
        if entry is None:
            return
        top = f"{path}@{version}/"
        with zipfile.ZipFile(io.BytesIO(self._read(entry))) as file:
            for member in file.namelist():
                if member.startswith(top) and _is_licence(member):
                    yield member[len(top) :], partial(file.read, member)

    def _of_tree(self, relative: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
        for address in self._trees:
            root = parse(address).beside
            if relative == root or relative.startswith(root + "/"):
                top = relative[len(root) + 1 :]
                top = f"{top}/" if top else ""
                for path, entry in self._listed(address).items():
                    if path.startswith(top):
                        yield path[len(top) :], partial(self._read, entry)

    def _listed(self, address: str) -> dict[str, Entry]:
        if address not in self._files:
            entries = self._trees[address].entries
            self._files[address] = {path: entries[path] for path in entries if _is_licence(path)}
        return self._files[address]


def _is_licence(path: str) -> bool:
    return _LICENCE.match(path.rpartition("/")[2]) is not None
