"""Between the lock, the providers and the store: what is needed of upstream, fetched once and checked."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .engine.functions import function
from .engine.keys import compact, digest
from .errors import FetchError, ResolveError, suggest
from .store.layout import touch
from .store.locks import lock as hold
from .store.tree import EMPTY, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from k8sbuild.progress import Progress

    from .golang.client import GoClient
    from .kinds import Provider, Source
    from .lock import Lock
    from .providers.base import Context, Fetched, Request
    from .store.store import Store

__all__ = ["Fetcher", "source_key"]

#: Reasons that may mean that there is no such version.
_ABSENT = ("module-not-found", "not-found", "proxy-error", "unknown-version")


def source_key(source: Source) -> str:
    """Return a source's key in the lock."""
    return f"{source.name}@{source.version}"


@dataclass(slots=True, kw_only=True)
class Fetcher:
    """Everything of a run that may use the network.

    Args:
        store, lock: where content and its digests are kept.
        cache: the cache folder (bootstrap toolchain, module cache).
        providers: by kind.
        chosen: provider kind by source name; ``""`` is the choice for all others.
        locations: the user's own locations by source name.
        env: the user's environment.
        log: file for the output of external commands.
        bootstrap: the Go releases that may download modules.
        toolchain: folder of the user's own toolchain, which is used instead.
        renewed: keys of sources that are fetched and locked as they are now, whatever the lock says.
    """

    store: Store
    lock: Lock
    cache: Path
    providers: Mapping[str, Provider]
    chosen: Mapping[str, str]
    locations: Mapping[str, str]
    env: Mapping[str, str]
    offline: bool
    log: Path
    bootstrap: Sequence[str]
    toolchain: str = ""
    renewed: frozenset[str] = frozenset()
    progress: Progress = lambda *_: None
    _trees: dict[str, Tree] = field(default_factory=dict)
    _client: GoClient | None = None
    _guard: threading.RLock = field(default_factory=threading.RLock)

    def kind(self, source: Source) -> str:
        """Return which provider a source comes from.

        Raises:
            ResolveError: ``no-provider``.
        """
        wanted = self.chosen.get(source.name) or self._for_all(source)
        located = source.name in self.locations or wanted in source.locations
        if wanted not in self.providers or not located:
            problem = "has no location" if wanted in self.providers else "is no provider"
            near = "" if wanted in self.providers else suggest(wanted, self.providers)
            raise ResolveError(
                f"{source.name}: {wanted!r} {problem}{near}",
                reason="no-provider",
                hint=f"it has locations for: {', '.join(source.locations)}; "
                f"or set [sources.{source.name}] location in k8sbuild.toml",
            )
        return wanted

    def _for_all(self, source: Source) -> str:
        """Return the choice for all sources where this one has such a location, else its first one."""
        wanted = self.chosen.get("", "")
        known = not wanted or wanted in self.providers
        return wanted if wanted in source.locations or not known else next(iter(source.locations))

    def exact(self, source: Source) -> str:
        """Return the exact version that a version option of a source means."""
        from .providers.base import normal_version

        request = self._request(source)
        text = normal_version(request) if source.layout != "as-is" else source.version
        if text.count(".") >= 2 or source.layout == "as-is":
            return text
        return self._resolve(source)

    def _resolve(self, source: Source) -> str:
        request = self._request(source)
        with self._context(source) as ctx:
            return str(function(self.providers[request.kind].resolve, f"provider {request.kind}")(ctx, request))

    @contextmanager
    def _known(self, source: Source) -> Iterator[None]:
        """Let the provider of a version that is not there say so, with the versions that it has."""
        try:
            yield
        except FetchError as error:
            if error.reason in _ABSENT:
                self._resolve(source)
            raise

    def release(self, source: Source) -> dict[str, str]:
        """Return ``commit`` and ``time`` of a release that pins do not know."""
        if self.kind(source) == "gomod":
            with self._known(source):
                found = self.go().query(self._module(source))
            return {"time": str(found.get("Time", ""))}
        entry = self._entry(source)
        return {name: entry[name] for name in ("time", "commit") if entry.get(name)}

    def mark(self, source: Source) -> str:
        """Return what must be equal for a build list to stay: the layout of immutable modules, else go.mod's digest."""
        if self.kind(source) == "gomod":
            return source.layout if source.layout == "bare" else ""
        return digest(self.go_mod(source))

    def go_mod(self, source: Source) -> bytes:
        """Return a source's go.mod as it is laid out, without its zip where the provider can."""
        if self.kind(source) == "gomod":
            from .golang.modfile import bare
            from .golang.modlist import mod_file

            with self._known(source):
                text = mod_file(self.go(), self._module(source))
            return bare(text).encode() if source.layout == "bare" else text
        tree = self.source(source)
        if "go.mod" not in tree.entries:
            raise ResolveError(f"{source.name} has no go.mod", reason="no-go-mod")
        return self.store.read(tree.entries["go.mod"])

    def pinned(self, source: Source) -> str | None:
        """Return the tree digest that the lock knows, ``None`` for a source not fetched yet."""
        if self.kind(source) == "path":
            return self.source(source).digest
        entry = self._locked(source)
        return entry["tree"] if entry else None

    def source(self, source: Source, progress: Progress | None = None) -> Tree:
        """Return a source's tree: from the store, else fetched, checked against the lock and locked.

        Raises:
            FetchError: ``digest-mismatch`` and the providers' reasons.
        """
        with self._guard:
            known = self._trees.get(source_key(source))
        if known is not None:
            return known
        locked = self._locked(source)
        if locked and self.kind(source) != "path" and self.store.has(locked["tree"]):
            tree = self.store.load(locked["tree"])
        else:
            with self._known(source):
                tree = self._fetch(source, progress)
        with self._guard:
            self._trees[source_key(source)] = tree
        return tree

    def mend(self) -> None:
        """Drop what is damaged in the store, and the trees that were read from it."""
        self.store.mend()
        with self._guard:
            self._trees.clear()

    def _locked(self, source: Source) -> Mapping[str, Any] | None:
        """Return what the lock says of a source: nothing of one that is renewed, until it is fetched."""
        key = source_key(source)
        with self._guard:
            stale = key in self.renewed and key not in self._trees
        return None if stale else self.lock.get("sources", key)

    def _entry(self, source: Source) -> Mapping[str, Any]:
        self.source(source)
        return self.lock.get("sources", source_key(source)) or {}

    def _fetch(self, source: Source, progress: Progress | None) -> Tree:
        kind = self.kind(source)
        locked = self._locked(source) or {}
        with self._context(source, locked.get("transports", {}).get(kind, {}), progress) as ctx:
            folder = ctx.scratch / "tree"
            folder.mkdir()
            fetch = function(self.providers[kind].fetch, f"provider {kind}")
            try:
                fetched: Fetched = fetch(ctx, self._request(source), folder)
            except FetchError as error:
                if error.reason == "digest-mismatch" and locked and any(folder.iterdir()):
                    _compare(error, locked, self.store.add_folder(folder))
                raise
            tree = self.store.add_folder(folder)
        if locked and kind != "path":
            _hold(source, kind, locked, tree)
        # A frozen lock holds the tree; how else it could have come is not worth a refusal.
        if kind != "path" and not (locked and self.lock.frozen):
            self.lock.add("sources", source_key(source), _locked(source, kind, fetched, tree, locked))
        return tree

    def modules(self, names: Sequence[str], progress: Progress | None = None) -> Tree:
        """Return the zips of modules, laid out as in a GOMODCACHE; each module is a blob of its own.

        Args:
            names: ``path@version``.
        """
        trees = {name: tree for name in names if (tree := self._kept_module(name)) is not None}
        missing = [name for name in names if name not in trees]
        if missing:
            trees |= self._download(missing, progress)
        merged: dict[str, Any] = {}
        for tree in trees.values():
            merged.update(tree.entries)
        return self.store.save(Tree(merged)) if merged else EMPTY

    def sums(self, names: Iterable[str]) -> dict[str, tuple[str, str]] | None:
        """Return zip and .mod sums by module, ``None`` while one is not locked."""
        found = {name: self.lock.get("modules", name) for name in names}
        return None if None in found.values() else {name: (e[0], e[1]) for name, e in found.items()}

    def _kept_module(self, name: str) -> Tree | None:
        sums = self.lock.get("modules", name)
        result = self.store.get_result(_module_key(name, sums)) if sums else None
        return self.store.load(result.tree) if result else None

    def _download(self, names: Sequence[str], progress: Progress | None) -> dict[str, Tree]:
        from .golang.modules import pack

        if self.offline:
            raise FetchError(
                f"{len(names)} modules are not in the store, {names[0]} among them, and offline",
                reason="offline",
                hint="run `k8sbuild fetch` once with the network",
            )
        trees: dict[str, Tree] = {}
        sums: dict[str, list[str]] = {}
        for module in self.go().download(list(names), progress or self.progress, log=self.log):
            with tempfile.TemporaryDirectory(dir=self._scratch()) as folder:
                pack([module], Path(folder))
                trees[module.name] = self.store.add_folder(Path(folder))
            sums[module.name] = [module.sum, module.mod_sum]
            _hold_module(module.name, self.lock.get("modules", module.name), sums[module.name])
            self._keep_module(module.name, sums[module.name], trees[module.name])
        self.lock.update("modules", sums)
        return trees

    def _keep_module(self, name: str, sums: Sequence[str], tree: Tree) -> None:
        from .store.result import Result

        key = _module_key(name, sums)
        made = time.time()
        self.store.put_result(
            Result(key=key, step=f"module {name}", tree=tree.digest, components={}, seconds=0, made=made, facts={})
        )

    def go(self) -> GoClient:
        """Return the ``go`` that downloads modules and makes build lists: the user's own, on PATH, or the newest."""
        from .golang.client import GoClient

        with self._guard:
            if self._client is None:
                touch(self.cache / "download")
                self._client = GoClient(
                    go=self._program(self.bootstrap),
                    modcache=self.cache / "download",
                    env=self.env,
                    log=self.log,
                    offline=self.offline,
                    newest=self._newest,
                )
            return self._client

    def _program(self, releases: Sequence[str]) -> Path:
        from .golang.bootstrap import ensure_go

        if self.toolchain:
            return Path(self.toolchain).absolute() / "bin" / "go"
        cache = self.cache / "bootstrap"
        return ensure_go(cache, self.env, releases, progress=self.progress, offline=self.offline, log=self.log)

    def _newest(self) -> Path:
        from .golang.semver import go_key

        with self._guard:
            return self._program([max(self.bootstrap, key=go_key)])

    def _module(self, source: Source) -> str:
        return f"{self._location(source)}@{source.version}"

    def _location(self, source: Source) -> str:
        return self.locations.get(source.name) or source.locations[self.kind(source)]

    def _request(self, source: Source) -> Request:
        from .providers.base import Request

        return Request(
            name=source.name,
            version=source.version,
            kind=self.kind(source),
            location=self._location(source),
            layout=source.layout,
        )

    @contextmanager
    def _context(
        self, source: Source, locked: Mapping[str, str] | None = None, progress: Progress | None = None
    ) -> Iterator[Context]:
        from .providers.base import Context

        scratch = self._scratch() / f"{source.name}-{digest(compact(source_key(source)).encode())[7:15]}"
        with hold(scratch.with_name(f"{scratch.name}.lock"), f"fetch {source_key(source)}"):
            shutil.rmtree(scratch / "tree", ignore_errors=True)
            scratch.mkdir(parents=True, exist_ok=True)
            yield Context(
                scratch=scratch,
                offline=self.offline,
                env=self.env,
                locked=locked or {},
                progress=progress or self.progress,
                go=self.go,
                log=self.log,
            )
            # Kept on failure: part downloads are resumed from it.
            shutil.rmtree(scratch, ignore_errors=True)

    def _scratch(self) -> Path:
        folder = self.cache / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _module_key(name: str, sums: Sequence[str]) -> str:
    """Return where the store has a module: its sums name its content, whatever else a proxy adds."""
    return digest(compact(["module", name, *sums]).encode())


def _locked(source: Source, kind: str, fetched: Fetched, tree: Tree, old: Mapping[str, Any]) -> dict[str, Any]:
    transports = {**old.get("transports", {}), kind: dict(fetched.transports)}
    trust = fetched.trust if not old else old["trust"]
    entry = {"tree": tree.digest, "layout": source.layout, "trust": trust, "transports": transports}
    # Proxies differ in the times that they give; the same files keep the one that they were locked with.
    known = {n: old.get(n) or getattr(fetched, n) for n in ("time", "commit")}
    return entry | {n: value for n, value in known.items() if value}


def _compare(error: FetchError, locked: Mapping[str, Any], tree: Tree) -> None:
    """Say of a source that came in another form whether its files are what the lock has."""
    if tree.digest == locked["tree"]:
        said = f"its files are the same, packed otherwise: tree {tree.digest}"
    else:
        said = f"its files differ too: tree expected {locked['tree']}, found {tree.digest}"
    error.message += f"\n  {said} (locked with trust: {locked['trust']})"
    error.details["tree"] = {"expected": locked["tree"], "found": tree.digest}


def _hold(source: Source, kind: str, locked: Mapping[str, Any], tree: Tree) -> None:
    from .providers.base import accept

    if locked["tree"] != tree.digest:
        raise FetchError(
            f"{source.name} {source.version} from {kind}: the tree differs: "
            f"expected {locked['tree']}, found {tree.digest}",
            reason="digest-mismatch",
            hint=accept(source.name, source.version),
            details={"expected": locked["tree"], "found": tree.digest},
        )


def _hold_module(name: str, locked: Sequence[str] | None, found: Sequence[str]) -> None:
    if locked and list(locked) != list(found):
        raise FetchError(
            f"module {name}: expected {' '.join(locked)}, found {' '.join(found)}",
            reason="digest-mismatch",
            hint="do not use it; check where GOPROXY points",
            details={"expected": list(locked), "found": list(found)},
        )
