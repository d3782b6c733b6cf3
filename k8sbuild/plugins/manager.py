"""Loading plugins one by one, so that a broken one is named and stops only what needs it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pluggy

from k8sbuild import hookspecs
from k8sbuild.errors import BuildError, PluginError, suggest
from k8sbuild.kinds import ALL_TARGETS, API, PluginInfo

from . import fields
from .order import ordered, requirement

__all__ = ["Broken", "Plugin", "Plugins", "load", "named"]

_T = TypeVar("_T")

GROUP = "k8sbuild"

#: More than this no hook yields that means it.
_MOST = 100_000

#: Stands for the distribution of a plugin that is given in the process.
IN_PROCESS = "in-process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A loaded plugin: who it is, its hooks, its Python package and distribution."""

    info: PluginInfo
    module: Any
    folder: Path
    distribution: str = ""
    version: str = ""

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.info.name

    def contributes_to(self, target: str) -> bool:
        """Say whether the plugin's contributions belong to a target."""
        return self.info.targets == ALL_TARGETS or target in self.info.targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A plugin that could not be loaded."""

    name: str
    distribution: str
    error: PluginError


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """All plugins of a run, in the engine's order."""

    loaded: tuple[Plugin, ...]
    broken: tuple[Broken, ...] = ()
    hooks: dict[str, dict[str, Callable[..., Any]]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Plugin]:
        return iter(self.loaded)

    def get(self, name: str) -> Plugin:
        """Return a plugin by name.

        Raises:
            PluginError: ``unknown-plugin``.
        """
        for plugin in self.loaded:
            if plugin.name == name:
                return plugin
        names = [plugin.name for plugin in self.loaded]
        raise PluginError(
            f"no plugin {name!r} is installed{suggest(name, names)}", reason="unknown-plugin", hint="k8sbuild plugins"
        )

    def ask(self, plugin: Plugin, hook: str, **arguments: Any) -> list[Any]:
        """Call one plugin's hook and return what it yields.

        Raises:
            PluginError: ``hook-failed``, naming plugin, package and hook; ``bad-contribution``, a field of a kind
                is not of its type.
        """
        function = self.hooks.get(plugin.name, {}).get(hook)
        if function is None:
            return []
        with named(plugin, hook):
            names = inspect.signature(function).parameters
            result = function(**{name: value for name, value in arguments.items() if name in names})
            items = [] if result is None else _listed(result) if isinstance(result, Iterable) else [result]
            for item in items:
                fields.check(plugin.name, item)
            return items

    def yielded(self, plugin: Plugin, hook: str, kind: type[_T]) -> list[_T]:
        """Call a hook that yields one kind.

        Raises:
            PluginError: ``bad-contribution`` where it yields something else; else as :meth:`ask`.
        """
        items = self.ask(plugin, hook)
        for item in items:
            if not isinstance(item, kind):
                raise PluginError(
                    f"plugin {plugin.name}: {hook} yielded {type(item).__name__}; it may yield {kind.__name__}",
                    reason="bad-contribution",
                    hint=f"--no-plugin={plugin.name}",
                )
        return items

    def require_whole(self) -> None:
        """Refuse to go on while a plugin is broken: a binary never lacks one silently."""
        if self.broken:
            raise self.broken[0].error

    def select(self, *, only: Iterable[str] = (), without: Iterable[str] = ()) -> Plugins:
        """Return the plugins that take part, checked and ordered.

        ``only`` adds what its plugins require. Unknown names, conflicts and
        missing requirements are errors.
        """
        without = set(without)
        chosen = {p.name: p for p in self.loaded if p.name not in without}
        broken = tuple(b for b in self.broken if b.name not in without)
        for name in without - {p.name for p in self.loaded} - {b.name for b in self.broken}:
            self.get(name)
        if only := set(only):
            wanted = _with_requirements(only, self, without)
            chosen = {name: plugin for name, plugin in chosen.items() if name in wanted}
            broken = tuple(b for b in broken if b.name in wanted)
        return Plugins(
            loaded=ordered(tuple(chosen.values()), without),
            broken=broken,
            hooks=self.hooks,
        )


def _listed(items: Iterable[Any]) -> list[Any]:
    listed = list(islice(items, _MOST + 1))
    if len(listed) > _MOST:
        raise ValueError(f"it yields more than {_MOST:,} things, or does not end")
    return listed


@contextmanager
def named(plugin: Plugin, hook: str) -> Iterator[None]:
    """Name the plugin whose code raises something that is no error of ours.

    Args:
        hook: or another function of the plugin's.

    Raises:
        PluginError: ``hook-failed``.
    """
    try:
        with _apart():
            yield
    except (BuildError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise PluginError(
            f"plugin {plugin.name} ({_where(plugin)}) raised {type(error).__name__} in {hook}: {_raised(error)}",
            reason="hook-failed",
            hint=f"--no-plugin={plugin.name}, or mend the plugin",
            details={"plugin": plugin.name, "hook": hook, "place": place(error)},
        ) from error


def load(extra: Iterable[tuple[str, Any]] = ()) -> Plugins:
    """Load every installed plugin, once for as long as the same packages are installed.

    Args:
        extra: ``(name, module or object)`` pairs, for tests and notebooks.
    """
    return _load_all(extra) if (extra := tuple(extra)) else _load_installed(_places())


def _places() -> tuple[tuple[str, int], ...]:
    """Return where packages can be, with a time that changes when one is installed or removed there."""
    folders = [path or "." for path in sys.path]
    return tuple((folder, Path(folder).stat().st_mtime_ns if Path(folder).exists() else 0) for folder in folders)


@lru_cache(maxsize=1)
def _load_installed(places: tuple[tuple[str, int], ...]) -> Plugins:  # noqa: ARG001 - what makes it another answer
    return _load_all(())


def _load_all(extra: tuple[tuple[str, Any], ...]) -> Plugins:
    manager = pluggy.PluginManager(hookspecs.NAME)
    manager.add_hookspecs(hookspecs)
    loaded: dict[str, Plugin] = {}
    broken: list[Broken] = []
    for name, distribution, find in [*_installed(), *((n, None, lambda m=m: m) for n, m in extra)]:
        try:
            _refuse_twin(loaded.get(name), distribution)
            plugin = _load(manager, name, distribution, find)
            loaded[plugin.name] = plugin
        except PluginError as error:
            broken.append(Broken(name=name, distribution=distribution.name if distribution else "", error=error))
    return Plugins(loaded=tuple(loaded[n] for n in sorted(loaded)), broken=tuple(broken), hooks=_hooks(manager))


def _installed() -> list[tuple[str, Distribution | None, Callable[[], Any]]]:
    found: dict[tuple[str, str], tuple[str, Distribution | None, Callable[[], Any]]] = {}
    for distribution in distributions():
        for entry in _entry_points(distribution):
            found.setdefault((entry.name, entry.value), (entry.name, distribution, entry.load))
    return [found[key] for key in sorted(found)]


def _entry_points(distribution: Distribution) -> list[EntryPoint]:
    # Reading the one file is ten times as fast as EntryPoints' own parsing of every package.
    text = distribution.read_text("entry_points.txt") or ""
    if f"[{GROUP}]" not in text:
        return []
    return [entry for entry in distribution.entry_points if entry.group == GROUP]


def _load(
    manager: pluggy.PluginManager, name: str, distribution: Distribution | None, find: Callable[[], Any]
) -> Plugin:
    package = _package(distribution)
    try:
        with _apart():
            module = find()
            manager.register(module, name=name)
            info = _info(name, package, module)
            _check(manager, module)
    except (PluginError, KeyboardInterrupt):
        _forget(manager, name)
        raise
    except BaseException as error:
        _forget(manager, name)
        raise PluginError(
            f"plugin {name} ({package}) cannot be loaded: {type(error).__name__}: {_raised(error)}",
            reason="plugin-broken",
            hint=f"--no-plugin={name}, or: pip uninstall {package}",
            details={"plugin": name, "package": package, "place": place(error)},
        ) from error
    return Plugin(
        info=info,
        module=module,
        folder=_folder(module),
        distribution=package,
        version=distribution.version if distribution else "",
    )


def _info(name: str, package: str, module: Any) -> PluginInfo:
    from packaging.specifiers import SpecifierSet

    info = module.k8sbuild_plugin()
    if not isinstance(info, PluginInfo):
        raise TypeError(f"k8sbuild_plugin returned {type(info).__name__}, not PluginInfo")
    fields.check(name, info)
    if API not in SpecifierSet(info.api):
        raise PluginError(
            f"plugin {info.name} wants hook API {info.api}; this is {API}",
            reason="plugin-api",
            hint=f"--no-plugin={info.name}, or install a version of it for this k8sbuild",
        )
    if info.name != name:
        raise PluginError(
            f"plugin {name} ({package}) calls itself {info.name!r}; entry point and PluginInfo.name must agree",
            reason="plugin-broken",
            hint=f"--no-plugin={name}",
        )
    return info


def _check(manager: pluggy.PluginManager, module: Any) -> None:
    known = {name for name in vars(hookspecs) if name.startswith("k8sbuild_")}
    called = {caller.name for caller in manager.get_hookcallers(module) or []}
    for name in dir(module):
        if name.startswith("k8sbuild_") and inspect.isroutine(getattr(module, name)):
            if name not in known:
                raise TypeError(f"unknown hook {name}{suggest(name, known)}")
            if name not in called:
                raise TypeError(f"{name} lacks @hookimpl, so nothing would call it")


def _hooks(manager: pluggy.PluginManager) -> dict[str, dict[str, Callable[..., Any]]]:
    hooks: dict[str, dict[str, Callable[..., Any]]] = {}
    for name, module in manager.list_name_plugin():
        for caller in manager.get_hookcallers(module) or []:
            for implementation in caller.get_hookimpls():
                if implementation.plugin is module:
                    hooks.setdefault(name, {})[caller.name] = implementation.function
    return hooks


def _refuse_twin(twin: Plugin | None, distribution: Distribution | None) -> None:
    if twin is not None:
        raise PluginError(
            f"plugin {twin.name} is provided by {twin.distribution} and by {_package(distribution)}",
            reason="plugin-twice",
            hint=f"pip uninstall {_package(distribution)}",
        )


def _package(distribution: Distribution | None) -> str:
    return distribution.name if distribution else IN_PROCESS


def _with_requirements(only: set[str], plugins: Plugins, without: set[str]) -> set[str]:
    broken = {b.name for b in plugins.broken} - {p.name for p in plugins.loaded}
    wanted: set[str] = set()
    queue = sorted(only)
    while queue:
        name = queue.pop()
        if name not in wanted and name not in without:
            wanted.add(name)
            if name not in broken:
                plugin = plugins.get(name)
                queue += [requirement(plugin, text).name for text in plugin.info.requires]
    return wanted


def _forget(manager: pluggy.PluginManager, name: str) -> None:
    if manager.has_plugin(name):
        manager.unregister(name=name)


def _folder(module: Any) -> Path:
    # a plugin may be a module, a package, or an object (tests)
    file = getattr(module, "__file__", None) or inspect.getfile(type(module))
    return Path(file).resolve().parent if isinstance(module, ModuleType) else Path(file).parent


def _where(plugin: Plugin) -> str:
    return f"{plugin.distribution} {plugin.version}".strip()


def _apart() -> redirect_stdout[Any]:
    """Keep what a plugin prints out of standard output, which may be one JSON document."""
    return redirect_stdout(sys.stderr)


def _raised(error: BaseException) -> str:
    """Return what an exception says and where it was raised; an exception may fail at that too."""
    try:
        text = str(error)
    except Exception as other:  # noqa: BLE001 - whatever it is, the first one is to be told
        text = f"its text raised {type(other).__name__}"
    return " ".join(part for part in (text, f"({place(error)})" if place(error) else "") if part)


def place(error: BaseException) -> str:
    """Return ``file:line`` of where an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
