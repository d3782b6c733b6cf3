"""Run functions by name: ``module:function``, as steps and providers declare them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from k8sbuild.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["function"]


def function(name: str, owner: str) -> Callable[..., Any]:
    """Return the function that a declaration names.

    Args:
        name: ``module:function``.
        owner: who declares it, for the message.

    Raises:
        PlanError: ``bad-run-function``.

    >>> function("os.path:join", "step x")("a", "b")
    'a/b'
    """
    module, _, attribute = name.partition(":")
    try:
        return cast("Callable[..., Any]", getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise PlanError(f"{owner}: cannot import {name!r}: {error}", reason="bad-run-function") from error
