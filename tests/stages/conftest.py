"""Contexts for run functions of stages, on a store of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild.testing import steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from k8sbuild.engine.context import StepContext


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., StepContext]:
    """Return a function that makes a context: parameters, input files by address, local folders."""

    def make(
        params: dict[str, Any],
        *,
        inputs: dict[str, dict[str, bytes]] | None = None,
        name: str = "codegen:toy/all",
        **rest: Any,
    ) -> StepContext:
        files = {
            address: {path: (0o644, data) for path, data in found.items()} for address, found in (inputs or {}).items()
        }
        return steps.context(tmp_path, params, inputs=files, name=name, **rest)

    return make
