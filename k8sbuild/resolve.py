"""From declarations to exact versions, build lists and toolchain, with the lock as memory."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .engine.keys import as_data, compact, digest
from .errors import ResolveError
from .golang.semver import staging_version
from .kinds import GoRequire
from .pins import Pins, Release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .fetching import Fetcher
    from .golang.client import GoClient
    from .golang.modfile import ModFile
    from .golang.modlist import Module
    from .kinds import GoModule, GoReplace, Source
    from .lock import Lock

__all__ = ["Program", "go_sources", "release_of", "resolve_program"]

#: What ``go mod vendor`` writes beside the code of other modules.
VENDORED = "vendor/modules.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A Go main module with everything that decides its go.mod.

    Args:
        plugin: the one that declares it.
        module: its declaration.
        requires, replaces: of all plugins.
        sources: by name, those that requirements refer to.
        modules: the build list, rows of ``[path, version, code path, code version]``.
        needs_go: highest ``go`` line.
        raised: ``(module, Kubernetes' version, ours, who)`` of each module above Kubernetes' own.
    """

    plugin: str
    module: GoModule
    requires: tuple[GoRequire, ...]
    replaces: tuple[GoReplace, ...]
    sources: Mapping[str, Source]
    modules: tuple[tuple[str, str, str, str], ...] = ()
    needs_go: str = ""
    godebug: Mapping[str, str] = field(default_factory=dict)
    raised: tuple[Mapping[str, str], ...] = ()
    local: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``plugin/name``."""
        return f"{self.plugin}/{self.module.name}"

    def version_of(self, require: GoRequire) -> str:
        """Return the version that a requirement asks for."""
        return require.version or self.sources[require.source].version

    def go_mod(self) -> dict[str, Any]:
        """Return what a go.mod with this build list says beside the trees of sources: JSON data."""
        return {
            "go": self.needs_go,
            "requires": {row[0]: row[1] for row in self.modules},
            "replaces": {row[0]: list(row[2:]) for row in self.modules if row[3] and row[2:] != row[:2]},
        }

    def downloads(self) -> tuple[str, ...]:
        """Return ``path@version`` of every module whose zip is needed."""
        return tuple(f"{row[2]}@{row[3]}" for row in self.modules if row[3])


def release_of(lock: Lock, pins: Pins, fetcher: Fetcher, source: Source) -> Release:
    """Return commit and time of a source's release: from pins, else the lock, else the provider's metadata."""
    pinned = pins.release(source.name, source.version)
    if pinned.time:
        return pinned
    key = f"{source.name}@{source.version}"
    entry = lock.get("releases", key)
    if entry is None or key in fetcher.renewed:
        entry = fetcher.release(source)
        lock.add("releases", key, entry)
    return Release(commit=pinned.commit or entry.get("commit", ""), time=entry.get("time", ""))


def go_sources(requires: Iterable[GoRequire], sources: Mapping[str, Source]) -> dict[str, Source]:
    """Return the sources whose trees stand for required modules, by module path."""
    found = {}
    for require in requires:
        if require.source:
            if require.source not in sources:
                raise ResolveError(
                    f"GoRequire {require.name} names the source {require.source!r}, which nobody fetches",
                    reason="unknown-source",
                )
            found[require.path] = sources[require.source]
    return found


def resolve_program(program: Program, *, lock: Lock, fetcher: Fetcher) -> Program:
    """Return the program with its build list, from the lock or from the modules' .mod files.

    Raises:
        ResolveError: ``not-locked`` with ``--locked``; else reasons of :mod:`k8sbuild.golang`.
    """
    key = _declaration(program, fetcher)
    entry = lock.get("lists", key)
    if entry is None:
        entry = _vendored(program, fetcher) if program.module.source else _ask(program, fetcher)
        lock.add("lists", key, entry)
    return _with_list(program, entry)


def _declaration(program: Program, fetcher: Fetcher) -> str:
    """Return the key of a build list: program, versions and what is declared."""
    data = {
        "module": program.module.path,
        "go": program.module.go,
        "requires": sorted((r.path, program.version_of(r)) for r in program.requires),
        "replaces": sorted((r.path, r.by, r.version) for r in program.replaces),
        "local": sorted((path, fetcher.mark(source)) for path, source in _sources(program).items()),
    }
    return f"{program.name} {digest(compact(as_data(data)).encode())[7:23]}"


def _sources(program: Program) -> dict[str, Source]:
    """Return the sources whose go.mod decides the build list, by module path."""
    own = program.module
    itself = (GoRequire(name=own.name, path=own.path, source=own.source),) if own.source else ()
    return go_sources((*program.requires, *itself), program.sources)


def _vendored(program: Program, fetcher: Fetcher) -> dict[str, Any]:
    """Return the lock's entry of a program that is made of its source's own tree: nothing is fetched for it.

    Raises:
        ResolveError: ``no-vendor``, ``no-go-mod``, ``bad-go-mod``, ``unknown-source``.
    """
    from .golang import modfile

    path = program.module.path
    source = _sources(program)[path]
    mod = modfile.parse(fetcher.go_mod(source))
    if mod.module != path:
        problem = f"is the module {mod.module}, not {path}"
    elif fetcher.kind(source) == "gomod" or VENDORED not in fetcher.source(source).entries:
        problem = f"has no {VENDORED}, so that its modules would have to be fetched"
    else:
        return {"go": _highest_go([program.module.go, mod.go]), "godebug": {}, "local": {}, "modules": [], "raised": []}
    raise ResolveError(
        f"{program.name}: the source {source.name} {problem}",
        reason="no-vendor",
        hint=f'layout="as-is" keeps the folder vendor; module zips have none: --provider={source.name}=git',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trees:
    """What the go.mod files of the sources say, by module path.

    Args:
        texts: the files.
        mods: what is in them.
        staging: the staging modules of each source that has some.
    """

    texts: Mapping[str, bytes]
    mods: Mapping[str, ModFile]
    staging: Mapping[str, tuple[str, ...]]

    @property
    def local(self) -> dict[str, str]:
        """Modules whose code is in a tree: the path of the source's own module for a staging one, else empty."""
        return {**dict.fromkeys(self.texts, ""), **{n: p for p, names in self.staging.items() for n in names}}


def _trees(program: Program, fetcher: Fetcher) -> _Trees:
    from .golang import modfile

    texts = {path: fetcher.go_mod(source) for path, source in _sources(program).items()}
    staging = {path: modfile.staging_modules(text) for path, text in texts.items()}
    return _Trees(
        texts=texts,
        mods={path: modfile.parse(text) for path, text in texts.items()},
        staging={path: names for path, names in staging.items() if names},
    )


def _ask(program: Program, fetcher: Fetcher) -> dict[str, Any]:
    """Ask ``go`` for the build list; return the lock's entry."""
    from .golang import modlist

    client = fetcher.go()
    fetcher.progress(f"build list of {program.name}", 0, 0)
    with tempfile.TemporaryDirectory(prefix="k8sbuild-list-") as folder:
        trees, scratch = _trees(program, fetcher), Path(folder)
        versions = _versions(program)
        found = modlist.build_list(
            client,
            module_path=program.module.path,
            go=program.module.go,
            requires=_union(client, trees, versions),
            replaces=_declared(program) | _stand_ins(trees, versions, scratch),
            scratch=scratch,
            progress=fetcher.progress,
        )
        return _entry(program, trees, found, lambda: modlist.requirers(client, found, scratch))


def _entry(
    program: Program, trees: _Trees, found: Sequence[Module], requirers: Callable[[], Mapping[str, str]]
) -> dict[str, Any]:
    """Return what the lock keeps of a build list."""
    from .golang.modfile import ModFile

    local = trees.local
    upstream = next((trees.mods[path] for path in trees.staging), ModFile())
    who = _Who(program, trees.mods, requirers)
    return {
        "go": _highest_go([program.module.go, *(m.go for m in found), *(m.go for m in trees.mods.values())]),
        # Without it a newer toolchain would change the behaviour that upstream tested.
        "godebug": dict(upstream.godebug) or ({"default": f"go{_minor(upstream.go)}"} if upstream.go else {}),
        "local": local,
        "modules": [[m.path, m.version, *(("", "") if m.path in local else m.code)] for m in found],
        "raised": [
            {"module": m.path, "kubernetes": upstream.requires[m.path], "version": m.code[1], "by": who(m)}
            for m in found
            if m.path not in local and _differs(m, upstream.requires)
        ],
    }


def _differs(module: Module, kubernetes: Mapping[str, str]) -> bool:
    from .golang.semver import compare_key

    wanted = kubernetes.get(module.path)
    return wanted is not None and compare_key(module.code[1]) != compare_key(wanted)


class _Who:
    """Names who gave a module its version; the graph of requirements is asked for only when it is needed.

    Args:
        mods: the go.mod of each source, by module path.
        requirers: gives the first module that requires each ``path@version``.
    """

    def __init__(
        self, program: Program, mods: Mapping[str, ModFile], requirers: Callable[[], Mapping[str, str]]
    ) -> None:
        self._program = program
        self._mods = mods
        self._requirers = cache(requirers)

    def __call__(self, module: Module) -> str:
        return next(filter(None, self._names(module)), "")

    def _names(self, module: Module) -> Iterator[str]:
        program = self._program
        yield from (f"GoReplace {r.name}" for r in program.replaces if r.path == module.path)
        asked = (module.path, module.version)
        yield from (f"GoRequire {r.name}" for r in program.requires if (r.path, r.version) == asked)
        yield from (path for path, mod in self._mods.items() if mod.requires.get(module.path) == module.version)
        yield self._requirers().get(f"{module.path}@{module.version}", "")


def _declared(program: Program) -> dict[str, tuple[str, str]]:
    return {r.path: (r.by or r.path, r.version) for r in program.replaces}


def _versions(program: Program) -> dict[str, str]:
    return {r.path: program.version_of(r) for r in program.requires}


def _union(client: GoClient, trees: _Trees, versions: Mapping[str, str]) -> dict[str, str]:
    """Return every requirement: of the sources at their versions, else the highest that somebody asks for."""
    from .golang import modfile, modlist

    local = trees.local

    def drop(path: str) -> bool:
        # Samples are in no tree, but a program may require one itself.
        return path in local or (modfile.is_sample(path) and path not in versions)

    plain = [(path, version) for path, version in versions.items() if path not in trees.mods]
    pairs = [*(modlist.expand(client, plain, drop) if plain else {}).items()]
    pairs += [pair for mod in trees.mods.values() for pair in mod.requires.items() if not drop(pair[0])]
    own = {path: versions[path] for path in trees.mods}
    return {**modlist.highest(pairs), **_staging_versions(trees, versions), **own}


def _staging_versions(trees: _Trees, versions: Mapping[str, str]) -> dict[str, str]:
    return {name: staging_version(versions[path]) for path, names in trees.staging.items() for name in names}


def _stand_ins(trees: _Trees, versions: Mapping[str, str], folder: Path) -> dict[str, tuple[str, str]]:
    """Return replacements: published staging modules, and a folder with nothing but its go.mod for each source."""
    from .golang import modfile

    replaces = {name: (name, version) for name, version in _staging_versions(trees, versions).items()}
    for path, text in trees.texts.items():
        content = text.decode()
        if path in trees.staging:
            content = modfile.with_staging(content, staging_version(versions[path]))
        name = path.replace("/", "_")
        (folder / name).mkdir()
        (folder / name / "go.mod").write_text(content, encoding="utf-8")
        replaces[path] = (f"./{name}", "")
    return replaces


def _highest_go(lines: Iterable[str]) -> str:
    from .golang.semver import go_key

    return max((line for line in lines if line), key=go_key)


def _minor(go: str) -> str:
    return ".".join(go.split(".")[:2])


def _with_list(program: Program, entry: Mapping[str, Any]) -> Program:
    return replace(
        program,
        modules=tuple((row[0], row[1], row[2], row[3]) for row in entry["modules"]),
        needs_go=entry["go"],
        godebug=entry["godebug"],
        raised=tuple(entry["raised"]),
        local=entry["local"],
    )
