"""One target of a build: its options, exact versions, contributions, build lists, and other targets it takes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .budget import Patched, check_budget
from .build import Build, Platform, fill, host_platform
from .engine.address import parse
from .engine.contribute import Contributions, gather
from .engine.functions import function
from .engine.graph import connect
from .engine.lower import Needed, Resolved, lower
from .errors import ConfigError, PlanError, suggest
from .golang.semver import is_version
from .kinds import Artifact, Edit, GoBinary, GoModule, GoReplace, GoRequire, PatchSeries, Source, Target
from .options import resolve
from .pins import Release
from .plugins.manager import named
from .resolve import Program, release_of, resolve_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .fetching import Fetcher
    from .golang.bootstrap import OwnGo
    from .lock import Lock
    from .pins import Pins
    from .plugins import Plugins
    from .project import Request, Setup

__all__ = ["Tools", "artifacts_of", "declared_sources", "draft", "for_target", "resolve_target"]

#: The location of a source that is another target's artifacts, see ``Source.target``.
TARGET = "target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What every target of a build is resolved with."""

    request: Request
    fetcher: Fetcher
    lock: Lock
    pins: Pins


def for_target(base: Setup, request: Request, name: str) -> Setup:
    """Return the setup with the values that options have for a target.

    Raises:
        BuildError: as :func:`k8sbuild.options.resolve`.
    """
    project = base.project
    defaults = dict(base.targets[name][1].defaults) if name in base.targets else {}
    values = resolve(
        base.declared, flags=request.flags, env=request.env, files=project.files, defaults=defaults, root=project.root
    )
    return replace(base, values={**values, "target": name})


def artifacts_of(target: Target, contributions: Contributions, values: Mapping[str, str]) -> dict[str, str]:
    """Return the address of each artifact; one without a path would be a folder with whatever the step makes.

    Args:
        contributions: of the build; plugins add artifacts to those of the target.
        values: of the placeholders.

    Raises:
        PlanError: ``artifact-twice``, ``artifact-without-path``, ``unknown-placeholder``.
    """
    given = [(f"target {target.name}", *pair) for pair in target.artifacts.items()]
    given += [(f"plugin {plugin.name}", item.file, item.address) for plugin, item in contributions.of(Artifact)]
    found: dict[str, str] = {}
    for who, name, address in ((who, fill(n, values, who), fill(a, values, who)) for who, n, a in given):
        if not parse(address).path:
            raise PlanError(
                f"{who}: the artifact {name!r} is the whole output of {address}, not a file of it",
                reason="artifact-without-path",
                hint=f"name a file or folder of it: {address}/…",
            )
        if name in found:
            raise PlanError(f"{who}: there is an artifact {name!r} already", reason="artifact-twice")
        found[name] = address
    return found


def _check_defaults(base: Setup) -> None:
    """Refuse a target's default for an option that nobody declares; another plugin's may be left out."""
    target = base.target
    for key in target.defaults:
        plugin, dot, _ = key.rpartition(".")
        if key not in base.declared and (not dot or plugin in {p.name for p in base.plugins}):
            raise ConfigError(
                f"target {target.name} has a default for {key!r}, which nobody declares{suggest(key, base.declared)}",
                reason="unknown-option",
                hint="the key of a plugin's option is plugin.option",
            )


def _check_values(base: Setup) -> None:
    """Let plugins look at the values of their options."""
    for item in base.declared.values():
        value, plugin = base.values[item.key], next((p for p in base.plugins if p.name == item.plugin), None)
        if item.option.check and value and plugin and plugin.contributes_to(base.text("target")):
            with named(plugin, item.option.check):
                function(item.option.check, f"option {item.key}")(value)


def draft(base: Setup) -> Build:
    """Return the build with versions as they were asked for."""
    return Build(
        target=base.text("target"),
        k8s=base.text("k8s"),
        platform=Platform(arch=base.text("arch") or host_platform().arch),
        plugins=tuple(p.name for p in base.plugins),
        options={key: value for key, value in base.values.items() if "." in key},
    )


def _build(base: Setup, fetcher: Fetcher) -> Build:
    """Return the build with exact versions.

    Where some are not, fetch hooks run once before, with what was asked, to learn what they are versions of.
    """
    asked = draft(base)
    exact = {key: base.text(key) for key, _ in _version_options(base)}
    vague = [(key, name) for key, name in _version_options(base) if exact[key] and not is_version(exact[key])]
    sources = declared_sources(base.plugins, asked) if vague else {}
    for key, name in vague:
        if name in sources:
            exact[key] = fetcher.exact(replace(sources[name], version=exact[key]))
    k8s = exact.pop("k8s")
    return replace(asked, k8s=k8s, options={**asked.options, **exact})


def _version_options(base: Setup) -> list[tuple[str, str]]:
    return [(d.key, d.option.source) for d in base.declared.values() if d.option.source]


def declared_sources(plugins: Plugins, build: Build) -> dict[str, Source]:
    """Return what the fetch hooks of a target yield, by name."""
    found: dict[str, Source] = {}
    for plugin in plugins:
        if plugin.contributes_to(build.target):
            for item in plugins.ask(plugin, "k8sbuild_fetch", build=build.of(plugin.name)):
                if isinstance(item, Source):
                    found.setdefault(item.name, item)
    return found


def _own_go(toolchain: str) -> OwnGo | None:
    if not toolchain:
        return None
    from .golang.bootstrap import own_go

    return own_go(Path(toolchain))


def resolve_target(base: Setup, tools: Tools, above: tuple[str, ...] = ()) -> Resolved:
    """Resolve one target and those that it takes artifacts of.

    Args:
        above: the targets that wait for this one.

    Raises:
        BuildError: any of the tree, before anything runs.
    """
    _check_defaults(base)
    _check_values(base)
    fetcher, lock, pins = tools.fetcher, tools.lock, tools.pins
    build = _build(base, fetcher)
    contributions = gather(base.plugins, build)
    sources, owners = _sources(contributions)
    programs = {
        program.name: resolve_program(program, lock=lock, fetcher=fetcher)
        for program in _programs(contributions, sources)
    }
    main = base.targets[build.target][1].source
    patched = {item.source for _, item in contributions.of(PatchSeries)}
    patched |= {item.source for _, item in contributions.of(Edit)}
    user = {source: base.project.root / folder for source, folder in base.project.patches.items()}
    _check_budget(base, programs, _patched(contributions, sources, user))
    return Resolved(
        build=build,
        contributions=contributions,
        sources=sources,
        programs=programs,
        release=release_of(lock, pins, fetcher, sources[main]) if main in sources else Release(),
        toolchains={name: _toolchain(pins, build, program) for name, program in programs.items()},
        pinned=fetcher.pinned,
        sums=fetcher.sums,
        owners=owners,
        user_patches=user,
        tree_state="patched" if main in patched | set(user) else "clean",
        own_go=_own_go(base.text("toolchain")),
        fast=base.flag("fast"),
        needed=tuple(_needed(base, tools, build, contributions, (*above, build.target))),
    )


def _needed(
    base: Setup, tools: Tools, build: Build, contributions: Contributions, above: tuple[str, ...]
) -> Iterator[Needed]:
    """Resolve each target that a plugin takes artifacts of, for the same Kubernetes version and platform."""
    for plugin, source in contributions.of(Source):
        if TARGET in source.locations:
            name = source.locations[TARGET]
            _check_target(base, plugin.name, name, above)
            other = for_target(base, tools.request, name)
            resolved = resolve_target(replace(other, values={**other.values, "k8s": build.k8s}), tools, above)
            # On every platform the same name, so that a plugin can say it beforehand.
            values = {**resolved.build.placeholders(), "suffix": ""}
            artifacts = artifacts_of(base.targets[name][1], resolved.contributions, values)
            nodes = connect(lower(resolved)).wanted(artifacts.values()).nodes
            yield Needed(plugin=plugin.name, source=source.name, artifacts=artifacts, nodes=tuple(nodes.values()))


def _check_target(base: Setup, plugin: str, name: str, above: tuple[str, ...]) -> None:
    if name not in base.targets:
        raise PlanError(
            f"plugin {plugin} takes artifacts of the target {name!r}, which no installed plugin offers"
            f"{suggest(name, base.targets)}",
            reason="unknown-target",
            hint="k8sbuild plugins",
        )
    if name in above:
        raise PlanError(f"targets need each other: {' → '.join([*above, name])}", reason="dependency-cycle")


def _sources(contributions: Contributions) -> tuple[dict[str, Source], dict[str, str]]:
    sources: dict[str, Source] = {}
    owners: dict[str, str] = {}
    for plugin, source in contributions.of(Source):
        if TARGET in source.locations:
            continue
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
    used = any(True for _ in contributions.of(GoBinary))
    for plugin, module in contributions.of(GoModule) if used else ():
        name = f"{plugin.name}/{module.name}"
        yield Program(
            plugin=plugin.name,
            module=module,
            requires=tuple(item for _, item in contributions.of(GoRequire) if item.module == name),
            replaces=tuple(item for _, item in contributions.of(GoReplace) if item.module == name),
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


def _check_budget(base: Setup, programs: Mapping[str, Program], patched: Iterable[Patched]) -> None:
    allowed = base.project.budget.get("max-raised-modules")
    if allowed is not None:
        raised = {program.name: [row["module"] for row in program.raised] for program in programs.values()}
        check_budget(int(allowed), raised, patched)


def _patched(
    contributions: Contributions, sources: Mapping[str, Source], user: Mapping[str, Path]
) -> Iterator[Patched]:
    """Yield every series of the build; one for a source that nobody fetches is refused later."""
    folders = [(plugin.folder / s.root, s.source, s.only) for plugin, s in contributions.of(PatchSeries)]
    for folder, source, only in [*folders, *((folder, source, None) for source, folder in user.items())]:
        if source in sources:
            yield folder, source, sources[source].version, only
