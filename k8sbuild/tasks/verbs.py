"""The commands, each a few lines over :mod:`k8sbuild.api`."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from k8sbuild.options import CORE

from .command import Answer, Call, Command, Flag, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8sbuild.kinds import Stage

__all__ = ["COMMANDS"]

_ALL = tuple(option.name for option in CORE)
_BUILD = tuple(name for name in _ALL if name not in ("fast", "skip-validate", "verify", "out"))


def _build(call: Call, *, until: Stage | None = None, flags: dict[str, Any] | None = None) -> Answer:
    from k8sbuild import api
    from k8sbuild.report.live import progress
    from k8sbuild.report.table import closing

    request = replace(call.request, flags={**call.request.flags, **(flags or {})})
    with progress(sys.stderr) as observer:
        report = api.build(request, until=until, observers=(("progress", observer),))
    return Answer(kind="build", data=report.to_dict(), text=lambda: closing(report))


def _plan(call: Call, *, until: Stage | None = None, flags: dict[str, Any] | None = None) -> Answer:
    from k8sbuild import api
    from k8sbuild.report.answers import plan

    request = replace(call.request, flags={**call.request.flags, **(flags or {})})
    report = api.plan(request, until=until)
    return Answer(kind="plan", data=report.to_dict(), text=lambda: plan(report))


def _plugins(call: Call) -> Answer:
    from k8sbuild import api
    from k8sbuild.report.answers import plugins

    base = api.setup(call.request, strict=False)
    data: dict[str, Any] = {
        "plugins": [
            {"name": p.name, "version": p.version, "package": p.distribution, "targets": list(p.info.targets)}
            for p in base.plugins
        ],
        "targets": [{"name": t.name, "help": t.help, "plugin": owner} for owner, t in base.targets.values()],
        "broken": [{"name": b.name, "package": b.distribution, **b.error.to_dict()} for b in base.plugins.broken],
    }
    if call.own["options"]:
        data["options"] = [
            {"key": d.key, "flag": f"--{d.flag}" if d.flag else "", "variable": d.variable, "help": describe(d)}
            for d in base.declared.values()
        ]
    return Answer(kind="plugins", data=data, text=lambda: plugins(data))


def _stage(stage: Stage, help: str, *, aliases: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> Command:  # noqa: A002
    return Command(
        name=stage,
        help=help,
        aliases=aliases,
        run=partial(_build, until=stage),
        dry=partial(_plan, until=stage),
        options=(*_BUILD, *more),
        plugins=True,
    )


def _reading(name: str, help: str, run: Callable[[Call], Answer], **rest: Any) -> Command:  # noqa: A002
    """Return a command that changes nothing, so that its dry run is itself."""
    return Command(name=name, help=help, run=run, dry=run, **rest)


COMMANDS: tuple[Command, ...] = (
    Command(
        name="build",
        help="Build, package and prove a target.",
        run=_build,
        dry=_plan,
        options=_ALL,
        plugins=True,
    ),
    Command(
        name="build-fast",
        help="Build the same binary without live checks.",
        run=partial(_build, flags={"fast": True}),
        dry=partial(_plan, flags={"fast": True}),
        options=tuple(name for name in _ALL if name != "fast"),
        plugins=True,
    ),
    _reading(
        "plan",
        "Say which steps will run, and why.",
        _plan,
        options=tuple(name for name in _ALL if name != "verify"),
        plugins=True,
    ),
    _stage("fetch", "Fetch sources, modules and toolchains.", aliases=("download",)),
    _stage("patch", "Apply patches and edits to the sources."),
    _stage("codegen", "Generate go.mod, registries, units and templates.", aliases=("generate",)),
    _stage("compile", "Compile the programs."),
    _stage("package", "Make archives and other artifacts.", more=("fast", "out")),
    _stage("validate", "Check the artifacts.", more=("fast", "out")),
    _reading(
        "plugins",
        "List plugins and targets; --options too.",
        _plugins,
        options=("plugin", "no-plugin"),
        own=(Flag(name="options", help="list all options too", boolean=True),),
    ),
)
