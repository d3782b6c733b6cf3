"""From a request to a resolved build: options → exact versions → hooks → build lists and lock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .build import Build, Platform, fill, host_platform
from .config import Project, cache_folder, find_project
from .engine.address import parse
from .engine.contribute import Contributions, gather
from .engine.graph import Graph, connect
from .engine.lower import Resolved, lower
from .errors import ConfigError, PlanError, UsageError, suggest
from .fetching import Fetcher, Progress
from .golang.semver import is_version
from .kinds import Edit, GoBinary, GoModule, GoReplace, GoRequire, Option, PatchSeries, Provider, Source, Target
from .lock import Lock
from .options import CORE, Declared, Value, declare, resolve
from .pins import Pins
from .pins import load as load_pins
from .plugins import Plugins
from .plugins import load as load_plugins
from .providers.builtin import BUILTIN
from .resolve import Program, release_of, resolve_program
from .store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Prepared", "Request", "prepare", "setup"]

DEFAULT_TARGET = "k8s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asks for.

    Args:
        flags: values of options by key (``k8s``, ``no-plugin``, ``kine-integration.kine``, ``set``).
        env: the user's environment.
        root: a folder in the project.
        extra: plugins given in the process, ``(name, module)``.
    """

    flags: Mapping[str, Any]
    env: Mapping[str, str]
    root: Path
    extra: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is known before versions are: project, plugins, options."""

    project: Project
    plugins: Plugins
    declared: Mapping[str, Declared]
    targets: Mapping[str, tuple[str, Target]]
    values: Mapping[str, Value]

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
    early = resolve(declare(()), flags=_core(request.flags), env=request.env, files=_core_files(project), defaults={})
    plugins = plugins.select(only=_list(early["plugin"]), without=_list(early["no-plugin"]))
    if strict:
        plugins.require_whole()
    declared = declare(_options(plugins))
    targets = _targets(plugins)
    name = str(early["target"] or (DEFAULT_TARGET if DEFAULT_TARGET in targets else next(iter(targets), "")))
    if strict and name not in targets:
        raise UsageError(
            f"no installed plugin offers the target {name!r}{suggest(name, targets)}"
            if targets
            else "no installed plugin offers a target",
            reason="unknown-target",
            hint="k8sbuild plugins" if targets else "pip install k8sbuild-single-binary",
        )
    defaults = dict(targets[name][1].defaults) if name in targets else {}
    values = resolve(declared, flags=request.flags, env=request.env, files=project.files, defaults=defaults)
    values = {**values, "target": name}
    return Setup(project=project, plugins=plugins, declared=declared, targets=targets, values=values)


def prepare(request: Request, *, log: Path, progress: Progress = lambda *_: None) -> Prepared:
    """Resolve everything that must be known before a plan.

    Args:
        log: file for the output of external commands.
        progress: told what is downloaded for it, as ``progress(what, done, total)``.

    Raises:
        BuildError: any of the tree, before anything runs.
    """
    base = setup(request)
    cache = cache_folder(request.env)
    pins = load_pins(p.folder / p.info.pins for p in base.plugins if p.info.pins)
    locked = base.flag("locked") or (_in_ci(request) and base.project.lock.is_file())
    lock = Lock(base.project.lock, frozen=locked)
    store = Store(cache / "store")
    fetcher = replace(_fetcher(base, request, cache, lock, store, pins, log), progress=progress)
    build = _build(base, fetcher)
    target = base.targets[build.target][1]
    contributions = gather(base.plugins, build)
    resolved = _resolved(base, build, contributions, fetcher, lock, pins)
    return Prepared(
        setup=base, build=build, target=target, graph=connect(lower(resolved)), resolved=resolved, fetcher=fetcher,
        lock=lock, store=store, pins=pins, artifacts=_artifacts(target, build),
    )  # fmt: skip


def _artifacts(target: Target, build: Build) -> dict[str, str]:
    """Return the address of each artifact; one without a path would be a folder with whatever the step makes."""
    who = f"target {target.name}"
    values = build.placeholders()
    found = {fill(name, values, who): fill(address, values, who) for name, address in target.artifacts.items()}
    for name, address in found.items():
        if not parse(address).path:
            raise PlanError(
                f"{who}: the artifact {name!r} is the whole output of {address}, not a file of it",
                reason="artifact-without-path",
                hint=f"name a file or folder of it: {address}/…",
            )
    return found


def _core(flags: Mapping[str, Any]) -> dict[str, Any]:
    names = {option.name for option in CORE}
    settings = [text for text in flags.get("set") or () if str(text).partition("=")[0] in names]
    return {**{key: value for key, value in flags.items() if key in names}, "set": settings}


def _core_files(project: Project) -> list[tuple[str, dict[str, Any]]]:
    names = {option.name for option in CORE}
    return [(name, {k: v for k, v in table.items() if k in names}) for name, table in project.files]


def _list(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _options(plugins: Plugins) -> list[tuple[str, Option]]:
    return [(p.name, option) for p in plugins for option in plugins.yielded(p, "k8sbuild_options", Option)]


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


def _fetcher(
    base: Setup, request: Request, cache: Path, lock: Lock, store: Store, pins: Pins, log: Path
) -> Fetcher:
    chosen = {name: str(table["provider"]) for name, table in base.project.sources.items() if "provider" in table}
    for text in base.words("provider"):
        source, equals, kind = text.partition("=")
        chosen[source if equals else ""] = kind if equals else text
    locations = {name: str(table["location"]) for name, table in base.project.sources.items() if "location" in table}
    return Fetcher(
        store=store,
        lock=lock,
        cache=cache,
        providers=_providers(base.plugins),
        chosen=chosen,
        locations=locations,
        env=request.env,
        offline=base.flag("offline"),
        log=log,
        toolchain=base.text("toolchain"),
        bootstrap=_bootstrap(pins, base.text("toolchain")),
    )


def _bootstrap(pins: Pins, toolchain: str) -> tuple[str, ...]:
    """Return the Go releases that may download and list modules: the user's own toolchain's, else the pinned."""
    from .golang.bootstrap import own_release

    return (own_release(Path(toolchain)),) if toolchain else pins.go_releases


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


def _build(base: Setup, fetcher: Fetcher) -> Build:
    """Return the build with exact versions.

    Where one is not, fetch hooks run once more, with what was asked, to learn what it is a version of.
    """
    values = dict(base.values)
    asked = str(values["k8s"] or "")
    platform = Platform(arch=str(values["arch"] or host_platform().arch))
    keys = {key: value for key, value in values.items() if "." in key}
    draft = Build(
        target=base.text("target"),
        k8s=asked,
        platform=platform,
        plugins=tuple(p.name for p in base.plugins),
        options=keys,
    )
    exact = {}
    for key, source in _version_options(base):
        version = asked if key == "k8s" else str(values[key])
        found = None if is_version(version) else _declared_source(base.plugins, draft, source)
        exact[key] = fetcher.exact(replace(found, version=version)) if found and version else version
    k8s = exact.pop("k8s", asked)
    return replace(draft, k8s=k8s, options={**keys, **exact})


def _version_options(base: Setup) -> list[tuple[str, str]]:
    rows = [("k8s", "kubernetes")]
    rows += [(d.key, d.option.source) for d in base.declared.values() if d.option.source and d.plugin]
    return rows


def _declared_source(plugins: Plugins, build: Build, name: str) -> Source | None:
    for plugin in plugins:
        if plugin.contributes_to(build.target):
            for item in plugins.ask(plugin, "k8sbuild_fetch", build=build.of(plugin.name)):
                if isinstance(item, Source) and item.name == name:
                    return item
    return None


def _resolved(
    base: Setup, build: Build, contributions: Contributions, fetcher: Fetcher, lock: Lock, pins: Pins
) -> Resolved:
    sources, owners = _sources(contributions)
    programs = {
        program.name: resolve_program(program, lock=lock, fetcher=fetcher)
        for program in _programs(contributions, sources)
    }
    _check_budget(base, programs)
    patched = {item.source for _, item in contributions.of(PatchSeries)}
    patched |= {item.source for _, item in contributions.of(Edit)}
    user = {source: base.project.root / folder for source, folder in base.project.patches.items()}
    return Resolved(
        build=build,
        contributions=contributions,
        sources=sources,
        programs=programs,
        releases={n: release_of(lock, pins, fetcher, s) for n, s in sources.items() if n == "kubernetes"},
        toolchains={name: _toolchain(pins, build, program) for name, program in programs.items()},
        pinned=fetcher.pinned,
        sums=fetcher.sums,
        owners=owners,
        user_patches=user,
        tree_state="patched" if "kubernetes" in patched | set(user) else "clean",
        local_toolchain=base.text("toolchain"),
    )


def _sources(contributions: Contributions) -> tuple[dict[str, Source], dict[str, str]]:
    sources: dict[str, Source] = {}
    owners: dict[str, str] = {}
    for plugin, source in contributions.of(Source):
        if source.name in sources and sources[source.name] != source:
            raise ConfigError(
                f"{owners[source.name]} and {plugin.name} fetch different sources named {source.name!r}",
                reason="source-clash",
                hint=f"--no-plugin={plugin.name}",
            )
        owners.setdefault(source.name, plugin.name)
        sources[source.name] = source
    return sources, owners


def _programs(contributions: Contributions, sources: Mapping[str, Source]) -> Iterable[Program]:
    modules = list(contributions.of(GoModule))
    used = [p.name for p, _ in contributions.of(GoBinary)]
    for plugin, module in modules if used else ():
        name = f"{plugin.name}/{module.name}"
        names = {name, ""} if len(modules) == 1 else {name}
        yield Program(
            plugin=plugin.name,
            module=module,
            requires=tuple(item for _, item in contributions.of(GoRequire) if item.module in names),
            replaces=tuple(item for _, item in contributions.of(GoReplace) if item.module in names),
            sources=sources,
        )


def _toolchain(pins: Pins, build: Build, program: Program) -> Source:
    release = pins.toolchain(build.k8s, [program.module.go, program.needs_go])
    host = host_platform()
    return Source(
        name=f"go-{host}",
        version=f"v0.0.1-go{release}.{host}",
        locations={"gomod": "golang.org/toolchain"},
        layout="toolchain",
    )


def _check_budget(base: Setup, programs: Mapping[str, Program]) -> None:
    allowed = base.project.budget.get("max-raised-modules")
    for program in programs.values():
        if allowed is not None and len(program.raised) > int(allowed):
            names = ", ".join(row["module"] for row in program.raised[:5])
            raise ConfigError(
                f"{program.name}: {len(program.raised)} modules differ from Kubernetes' go.mod, "
                f"max-raised-modules is {allowed}: {names}, …",
                reason="budget-raised-modules",
                hint="lower them with GoReplace, or raise the budget in k8sbuild.toml",
            )
