"""What every plugin must hold to, as functions for the tests of plugin authors.

::

    import my_plugin
    from k8sbuild.testing import checks

    def test_plugin_conforms():
        checks.conforms(my_plugin, checks.sample_build(my_plugin, target="k8s"))

Each function raises ``AssertionError`` with every problem that it found, not only the first.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild import hookspecs, kinds
from k8sbuild.build import Build, host_platform
from k8sbuild.engine.keys import as_data
from k8sbuild.kinds import STAGES, Option, PluginInfo, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "adds_nothing",
    "conforms",
    "contributions",
    "documented",
    "files_exist",
    "frozen",
    "pure",
    "runnable",
    "sample_build",
    "ships_programs",
    "unique",
]

_WITHOUT_BUILD = ("k8sbuild_targets", "k8sbuild_options", "k8sbuild_providers")
_WITH_BUILD = tuple(f"k8sbuild_{stage}" for stage in STAGES)
#: Fields that name a file or folder of the plugin's package.
_PATHS = {"Overlay": "root", "PatchSeries": "root", "Template": "path", "SystemdUnit": "path"}


def sample_build(
    plugin: Any, *, target: str, k8s: str = "v1.31.4", beside: Mapping[str, Any] | None = None, **options: Any
) -> Build:
    """Return a build to call hooks with; the plugin's options have their defaults.

    Args:
        plugin: module or object with the hooks.
        target: what is built.
        k8s: Kubernetes version.
        beside: options of other plugins that take part: ``{"containerd-runtime.bundle": True}``.
        options: values by name that differ from the defaults, with ``_`` for ``-``.
    """
    others = beside or {}
    info = _info(plugin)
    given = {name.replace("_", "-"): value for name, value in options.items()}
    values = {f"{info.name}.{o.name}": given.get(o.name, o.default) for o in _items(plugin, "k8sbuild_options", None)}
    return Build(
        target=target,
        k8s=k8s,
        platform=host_platform(),
        plugins=(info.name, *dict.fromkeys(key.partition(".")[0] for key in others)),
        options={**values, **others},
        plugin=info.name,
    )


def contributions(plugin: Any, build: Build) -> dict[str, tuple[Any, ...]]:
    """Return what each of the plugin's hooks yields, by hook."""
    names = [name for name in (*_WITHOUT_BUILD, *_WITH_BUILD) if hasattr(plugin, name)]
    return {name: _items(plugin, name, build) for name in names}


def conforms(plugin: Any, *builds: Build) -> None:
    """Check everything that this module checks, for each build.

    Raises:
        AssertionError: every problem found, one a line.
    """
    problems: dict[str, None] = {}
    for build in builds:
        for check in (pure, unique, frozen, runnable, files_exist):
            problems.update(dict.fromkeys(_problems(check, plugin, build)))
    problems.update(dict.fromkeys(_problems(documented, plugin)))
    _fail(problems)


def pure(plugin: Any, build: Build) -> None:
    """Check that hooks give equal data when they are called twice."""
    first, second = contributions(plugin, build), contributions(plugin, build)
    _fail(f"{hook}: yields other data when it is called again" for hook in first if first[hook] != second[hook])


def unique(plugin: Any, build: Build) -> None:
    """Check that names are unique by kind."""
    seen: set[tuple[str, str]] = set()
    problems = []
    for hook, item in _all(plugin, build):
        key = (type(item).__name__, getattr(item, "name", ""))
        problems += [f"{hook}: two {key[0]} are named {key[1]!r}"] if key in seen else []
        seen.add(key)
    _fail(problems)


def frozen(plugin: Any, build: Build) -> None:
    """Check that hooks yield the kinds of :mod:`k8sbuild.kinds`, whose values all have a JSON form."""
    problems = []
    for hook, item in _all(plugin, build):
        if getattr(kinds, type(item).__name__, None) is not type(item):
            problems.append(f"{hook}: yields {type(item).__name__}, which is no kind")
        else:
            problems += [f"{hook}: {_label(item)}.{name}: {why}" for name, why in _unlike_json(item)]
    _fail(problems)


def runnable(plugin: Any, build: Build) -> None:
    """Check that every ``module:function`` can be imported and takes what it is called with."""
    problems = []
    for hook, item in _all(plugin, build):
        for name in ("run", "resolve", "fetch", "check"):
            text = getattr(item, name, "")
            why = _why_not_callable(text) if text else ""
            problems += [f"{hook}: {_label(item)}.{name} = {text!r}: {why}"] if why else []
    _fail(problems)


def files_exist(plugin: Any, build: Build) -> None:
    """Check that the files and folders which are named are in the plugin's package."""
    folder = Path(inspect.getfile(plugin if inspect.ismodule(plugin) else type(plugin))).parent
    named = [(hook, item, getattr(item, _PATHS.get(type(item).__name__, ""), "")) for hook, item in _all(plugin, build)]
    problems = [
        f"{hook}: {_label(item)}: no {path}" for hook, item, path in named if path and not (folder / path).exists()
    ]
    pins = _info(plugin).pins
    _fail([*problems, *([f"k8sbuild_plugin: no {pins}"] if pins and not (folder / pins).is_file() else [])])


def documented(plugin: Any) -> None:
    """Check that the plugin, its hooks, targets and options say what they are for."""
    problems = [] if inspect.getdoc(plugin) else ["the plugin has no docstring"]
    hooks = [name for name in vars(hookspecs) if name.startswith("k8sbuild_") and hasattr(plugin, name)]
    problems += [f"{name}: no docstring" for name in hooks if not inspect.getdoc(getattr(plugin, name))]
    for hook in ("k8sbuild_targets", "k8sbuild_options"):
        described = [item for item in _items(plugin, hook, None) if isinstance(item, Option | Target)]
        problems += [f"{hook}: {_label(item)} has no help" for item in described if not item.help.strip()]
    _fail(problems)


def adds_nothing(plugin: Any, *builds: Build) -> None:
    """Check that the plugin contributes to no stage of these builds."""
    for build in builds:
        given = contributions(plugin, build)
        assert not [item for stage in STAGES for item in given.get(f"k8sbuild_{stage}", ())]


def ships_programs(plugin: Any, build: Build, reference: str) -> None:
    """Check that a build ships all programs of the plugin's one target, see :class:`k8sbuild.upstream.Shipped`.

    Args:
        reference: the name of the image, which a Go package is told.
    """
    given = contributions(plugin, build)
    (made,) = given["k8sbuild_package"]
    assert isinstance(made, kinds.OciImage)
    assert made.reference == reference
    (source,) = given["k8sbuild_fetch"]
    assert isinstance(source, kinds.Source)
    (target,) = given["k8sbuild_targets"]
    assert source.locations == {"target": target.name}
    names = [name.removesuffix("{suffix}") for name in target.artifacts]
    programs = [f"fetch:{target.name}/{source.name}/{name}" for name in names]
    assert [file.address for layer in made.layers for file in layer.files] == programs
    assert list(made.licences) == programs
    (generator,) = [item for item in given["k8sbuild_codegen"] if isinstance(item, kinds.Generator)]
    assert generator.params["constants"] == {"image": reference}


def _info(plugin: Any) -> PluginInfo:
    info = plugin.k8sbuild_plugin()
    assert isinstance(info, PluginInfo), f"k8sbuild_plugin returned {type(info).__name__}, not PluginInfo"
    return info


def _items(plugin: Any, hook: str, build: Build | None) -> tuple[Any, ...]:
    function = getattr(plugin, hook, None)
    if function is None:
        return ()
    wants_build = "build" in inspect.signature(function).parameters
    return tuple((function(build=build) if wants_build else function()) or ())


def _all(plugin: Any, build: Build) -> Iterator[tuple[str, Any]]:
    for hook, items in contributions(plugin, build).items():
        for item in items:
            yield hook, item


def _label(item: Any) -> str:
    return f"{type(item).__name__} {getattr(item, 'name', '')!r}"


def _unlike_json(item: Any) -> Iterator[tuple[str, str]]:
    for field in fields(item):
        try:
            json.dumps(as_data(getattr(item, field.name)))
        except (TypeError, ValueError) as error:
            yield field.name, str(error)
        if isinstance(getattr(item, field.name), list | set):
            yield field.name, "is a list or set; use a tuple"


def _why_not_callable(text: str) -> str:
    module, colon, name = text.partition(":")
    if not colon:
        return "is not module:function"
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        return str(error)
    if not callable(function) or is_dataclass(function):
        return "is no function"
    return "" if inspect.signature(function).parameters else "takes no argument"


def _problems(check: Any, *arguments: Any) -> list[str]:
    try:
        check(*arguments)
    except AssertionError as error:
        return str(error).splitlines()
    return []


def _fail(problems: Iterable[str]) -> None:
    text = "\n".join(problems)
    if text:
        raise AssertionError(text)
