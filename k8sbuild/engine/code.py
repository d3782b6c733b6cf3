"""The code of run functions: a component of their steps' keys."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k8sbuild.errors import PlanError

from . import local
from .functions import function
from .keys import compact, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["digest_of", "loaded", "read_digest"]


def read_digest(run: str) -> str:
    """Return the digest of the top-level import package that holds ``module:function``.

    Args:
        run: for example ``my_plugin.steps:build``.
    """
    return _read(_package(run))


def digest_of(run: str) -> str:
    """Return the same, as it was when this process first asked: modules are loaded once as well."""
    return _first(_package(run))


def _package(run: str) -> str:
    return run.partition(":")[0].partition(".")[0]


def _read(name: str) -> str:
    package = importlib.import_module(name)
    # A package without __init__.py has no file, and maybe several folders.
    roots = [Path(root) for root in getattr(package, "__path__", ())] or [Path(str(package.__file__))]
    parts = {name: value for root in roots for name, value in local.components("", local.code(root)).items()}
    return digest(compact(parts).encode())


#: Several steps of a plugin have functions of one package.
_first = cache(_read)


def loaded(run: str, step: str, components: Mapping[str, str]) -> Callable[..., Any]:
    """Return a step's run function, of the code that the step's key says.

    Raises:
        PlanError: ``bad-run-function``; ``code-changed``, since the key was made.
    """
    found = function(run, step)
    if "code" in components and read_digest(run) != components["code"]:
        raise PlanError(
            f"{step}: the code of {run} changed while this process had it loaded",
            reason="code-changed",
            hint="run the same command again",
        )
    return found
