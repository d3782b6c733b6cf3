"""From a request to a resolved build: options → exact versions → hooks → build lists and lock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .asked import check_options, check_provider, check_source_names
from .config import Project, cache_folder, find_project
from .engine.graph import Graph, connect
from .engine.lower import Resolved, lower
from .errors import ConfigError, UsageError, suggest
from .fetching import Fetcher
from .kinds import Option, Provider, Target
from .lock import Lock
from .options import CORE, Declared, Value, declare, resolve
from .pins import Pins
from .pins import load as load_pins
from .plugins import Plugins
from .plugins import load as load_plugins
from .providers.builtin import BUILTIN
from .store.store import Store
from .targets import Tools, artifacts_of, for_target, resolve_target

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .build import Build
    from .progress import Progress

__all__ = ["Prepared", "Request", "no_target", "prepare", "setup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asks for.

    Args:
        flags: values of options by key (``k8s``, ``no-plugin``, ``kine-integration.kine``, ``set``).
        env: the user's environment.
        root: a folder in the project.
        extra: plugins given in the process, ``(name, module)``.
        renewed: ``source@version`` of the sources to fetch and lock as they are now.
    """

    flags: Mapping[str, Any]
    env: Mapping[str, str]
    root: Path
    extra: tuple[tuple[str, Any], ...] = ()
    renewed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is known before versions are: project, plugins, options."""

    project: Project
    plugins: Plugins
    declared: Mapping[str, Declared]
    targets: Mapping[str, tuple[str, Target]]
    values: Mapping[str, Value]

    @property
    def target(self) -> Target:
        """What is built."""
        return self.targets[self.text("target")][1]

    @property
    def artifacts(self) -> Path:
        """Where a build puts its artifacts."""
        return self.project.root / self.text("out") / "artifacts"

    def flag(self, name: str) -> bool:
        """Return a boolean option."""
        return bool(self.values[name])

    def text(self, name: str) -> str:
        """Return a text option."""
        return str(self.values[name])

    def words(self, name: str) -> tuple[str, ...]:
        """Return a list option."""
        value = self.values[name]
        return value if isinstance(value, tuple) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A build whose graph is known."""

    setup: Setup
    build: Build
    target: Target
    graph: Graph
    resolved: Resolved
    fetcher: Fetcher
    lock: Lock
    store: Store
    pins: Pins
    artifacts: Mapping[str, str]


def setup(request: Request, *, strict: bool = True) -> Setup:
    """Load project, plugins and options.

    Args:
        strict: a broken plugin is an error (else it is only listed).
    """
    project = find_project(request.root)
    plugins = load_plugins(request.extra)
    early = resolve(
        declare(()), flags=_core(request.flags), env=request.env, files=_core_files(project), defaults={},
        root=project.root,
    )  # fmt: skip
    installed = {item.name for item in (*plugins, *plugins.broken)}
    plugins = plugins.select(only=_list(early["plugin"]), without=_list(early["no-plugin"]))
    project = _without(project, installed - {plugin.name for plugin in plugins})
    if strict:
        plugins.require_whole()
    declared = declare(_options(plugins))
    targets = _targets(plugins)
    name = str(early["target"]) or _default(targets, strict=strict)
    if strict and name not in targets:
        raise no_target(name, targets, chosen=bool(early["plugin"] or early["no-plugin"]))
    base = Setup(project=project, plugins=plugins, declared=declared, targets=targets, values={})
    return for_target(base, request, name)


def prepare(
    request: Request,
    *,
    log: Path,
    base: Setup | None = None,
    progress: Progress = lambda *_: None,
    keep_lock: bool = True,
) -> Prepared:
    """Resolve everything that must be known before a plan.

    Args:
        log: file for the output of external commands.
        base: what :func:`setup` gave for the request, where the caller has it.
        progress: told what is downloaded for it, as ``progress(what, done, total)``.
        keep_lock: write what the lock lacks into its file; commands that only look leave it as it is.

    Raises:
        BuildError: any of the tree, before anything runs.
    """
    base = base or setup(request)
    cache = cache_folder(request.env)
    pins = load_pins(p.folder / p.info.pins for p in base.plugins if p.info.pins)
    locked = base.flag("locked") or (_in_ci(request) and base.project.lock.is_file())
    lock = Lock(base.project.lock, frozen=locked, keep=keep_lock)
    store = Store(cache / "store")
    fetcher = replace(_fetcher(base, request, cache, lock, store, pins, log), progress=progress)
    tools = Tools(request=request, fetcher=fetcher, lock=lock, pins=pins)
    resolved = resolve_target(base, tools)
    check_options(base, request, {resolved.build.target, *(n.target for item in resolved.needed for n in item.nodes)})
    check_source_names(base, request, resolved.sources)
    check_provider(base, request, fetcher, resolved.sources.values())
    return Prepared(
        setup=base, build=resolved.build, target=base.target, graph=connect(lower(resolved)), resolved=resolved,
        fetcher=fetcher, lock=lock, store=store, pins=pins,
        artifacts=artifacts_of(base.target, resolved.contributions, resolved.build.placeholders()),
    )  # fmt: skip


def _core(flags: Mapping[str, Any]) -> dict[str, Any]:
    names = {option.name for option in CORE}
    settings = [text for text in flags.get("set") or () if str(text).partition("=")[0] in names]
    return {**{key: value for key, value in flags.items() if key in names}, "set": settings}


def _core_files(project: Project) -> list[tuple[str, dict[str, Any]]]:
    names = {option.name for option in CORE}
    return [(name, {k: v for k, v in table.items() if k in names}) for name, table in project.files]


def _without(project: Project, plugins: set[str]) -> Project:
    """Return the project without the options of plugins that take no part: left out by name, or broken."""
    files = []
    for name, table in project.files:
        kept = {plugin: options for plugin, options in table.get("plugins", {}).items() if plugin not in plugins}
        files.append((name, {**table, "plugins": kept} if "plugins" in table else table))
    return replace(project, files=tuple(files))


def no_target(name: str, targets: Collection[str], *, chosen: bool) -> UsageError:
    """Return the error of a target that nobody offers.

    Args:
        chosen: somebody said which plugins take part.
    """
    who = "no plugin that takes part" if chosen else "no installed plugin"
    what = f"the target {name!r}{suggest(name, targets)}" if targets else "a target"
    hint = "--plugin and --no-plugin choose who takes part" if chosen else "install a package whose plugin offers one"
    hint = "k8sbuild plugins" if targets else hint
    return UsageError(f"{who} offers {what}", reason="unknown-target", hint=hint)


def _list(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _options(plugins: Plugins) -> list[tuple[str, Option]]:
    return [(p.name, option) for p in plugins for option in plugins.yielded(p, "k8sbuild_options", Option)]


def _default(targets: Mapping[str, tuple[str, Target]], *, strict: bool) -> str:
    """Return the target that is meant where nobody names one: the default among them, else the only one."""
    found = [name for name, (_, target) in targets.items() if target.default] or list(targets)
    if strict and len(found) > 1:
        raise UsageError(
            f"any of these targets could be meant: {', '.join(found)}",
            reason="target-ambiguous",
            hint=f"--target={found[0]}, or target = {found[0]!r} in k8sbuild.toml",
        )
    return next(iter(found), "")


def _targets(plugins: Plugins) -> dict[str, tuple[str, Target]]:
    found: dict[str, tuple[str, Target]] = {}
    for plugin in plugins:
        for target in plugins.yielded(plugin, "k8sbuild_targets", Target):
            if target.name in found:
                raise ConfigError(
                    f"target {target.name!r} is offered by {found[target.name][0]} and {plugin.name}",
                    reason="target-twice",
                    hint=f"--no-plugin={plugin.name}",
                )
            found[target.name] = (plugin.name, target)
    return found


def _in_ci(request: Request) -> bool:
    return request.env.get("CI", "").lower() in ("1", "true")


def _fetcher(base: Setup, request: Request, cache: Path, lock: Lock, store: Store, pins: Pins, log: Path) -> Fetcher:
    chosen = _chosen(base)
    return Fetcher(
        store=store,
        lock=lock,
        cache=cache,
        providers=_providers(base.plugins),
        chosen=chosen,
        locations=_locations(base, chosen),
        env=request.env,
        offline=base.flag("offline"),
        log=log,
        toolchain=base.text("toolchain"),
        bootstrap=_bootstrap(pins, base.text("toolchain")),
        renewed=request.renewed,
    )


def _chosen(base: Setup) -> dict[str, str]:
    """Return the kinds of providers that the user chose, by source; the one under no name is for all others."""
    chosen = {name: str(table["provider"]) for name, table in base.project.sources.items() if "provider" in table}
    for text in base.words("provider"):
        source, equals, kind = text.partition("=")
        if equals and not (source and kind):
            raise UsageError(
                f"--provider={text}: one of the two is empty", reason="bad-value", hint="--provider=SOURCE=KIND"
            )
        chosen[source if equals else ""] = kind if equals else text
    return chosen


def _locations(base: Setup, chosen: Mapping[str, str]) -> dict[str, str]:
    return {
        name: _location(base.project.root, table["location"], chosen.get(name, chosen.get("", "")))
        for name, table in base.project.sources.items()
        if "location" in table
    }


def _location(root: Path, text: str, kind: str) -> str:
    """Return a location of a configuration file: a relative folder is seen from the project's root."""
    relative = text.startswith(("./", "../")) or (kind == "path" and not text.startswith("~"))
    return str(root / text) if relative else text


def _bootstrap(pins: Pins, toolchain: str) -> tuple[str, ...]:
    """Return the Go releases that may download and list modules: the user's own toolchain's, else the pinned."""
    if not toolchain:
        return pins.go_releases
    from .golang.bootstrap import own_release

    return (own_release(Path(toolchain)),)


def _providers(plugins: Plugins) -> dict[str, Provider]:
    found = {provider.kind: provider for provider in BUILTIN}
    for plugin in plugins:
        for provider in plugins.yielded(plugin, "k8sbuild_providers", Provider):
            if provider.kind in found:
                raise ConfigError(
                    f"provider {provider.kind!r} of {plugin.name} exists already", reason="provider-twice"
                )
            found[provider.kind] = provider
    return found
