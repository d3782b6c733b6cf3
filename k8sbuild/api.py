"""The typed API that the front ends and notebooks use.

>>> from pathlib import Path
>>> from k8sbuild import api
>>> request = api.Request(flags={"k8s": "v1.31.4"}, env={}, root=Path("."))
>>> report = api.build(request)                               # doctest: +SKIP
>>> [artifact.name for artifact in report.artifacts]          # doctest: +SKIP
['k8s', 'k8s-v1.31.4-linux-amd64.tar.zst']

Each name is imported at its first use, so that importing this module takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .building import Report, build
    from .doctor import doctor
    from .editing.place import EditTree
    from .editing.refresh import Refreshed
    from .editing.refresh import refresh as refresh_patch
    from .editing.shell import Shell, shell
    from .editing.start import start as start_edit
    from .engine.plan import Decision
    from .errors import BuildError
    from .gotest import TestReport, lint, run_tests
    from .history import Explained, Explanation, explain
    from .install import Installed, install
    from .inventory import options, plugins, versions
    from .locking import lock
    from .modules import modules
    from .planning import PlanReport, plan
    from .project import Request, setup
    from .scaffold import init
    from .store.gc import GcReport
    from .toolchains import fetch_toolchains
    from .upkeep import clean, gc

__all__ = [
    "BuildError",
    "Decision",
    "EditTree",
    "Explained",
    "Explanation",
    "GcReport",
    "Installed",
    "PlanReport",
    "Refreshed",
    "Report",
    "Request",
    "Shell",
    "TestReport",
    "build",
    "clean",
    "doctor",
    "explain",
    "fetch_toolchains",
    "gc",
    "init",
    "install",
    "lint",
    "lock",
    "modules",
    "options",
    "plan",
    "plugins",
    "refresh_patch",
    "run_tests",
    "setup",
    "shell",
    "start_edit",
    "versions",
]

#: The module of each name; ``module:name`` where it has another name there.
_HOMES = {
    "BuildError": "errors",
    "Decision": "engine.plan",
    "EditTree": "editing.place",
    "Explained": "history",
    "Explanation": "history",
    "GcReport": "store.gc",
    "Installed": "install",
    "PlanReport": "planning",
    "Refreshed": "editing.refresh",
    "Report": "building",
    "Request": "project",
    "Shell": "editing.shell",
    "TestReport": "gotest",
    "build": "building",
    "clean": "upkeep",
    "doctor": "doctor",
    "explain": "history",
    "fetch_toolchains": "toolchains",
    "gc": "upkeep",
    "init": "scaffold",
    "install": "install",
    "lint": "gotest",
    "lock": "locking",
    "modules": "modules",
    "options": "inventory",
    "plan": "planning",
    "plugins": "inventory",
    "refresh_patch": "editing.refresh:refresh",
    "run_tests": "gotest",
    "setup": "project",
    "shell": "editing.shell",
    "start_edit": "editing.start:start",
    "versions": "inventory",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, there = _HOMES[name].partition(":")
    return globals().setdefault(name, getattr(import_module(f".{module}", __package__), there or name))


def __dir__() -> list[str]:
    return __all__
