"""Toy plugins for runs of small graphs, and looks at what came out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from k8sbuild import api
from k8sbuild.engine import events
from k8sbuild.errors import BuildError
from k8sbuild.kinds import Step, Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    Named = tuple[str, ModuleType]
    Make = Callable[..., Named]
    RequestFor = Callable[..., api.Request]


ALL = "compile:toy/all"


def step(name: str, run: str, *, stage: Any = "compile", **fields: Any) -> Step:
    return Step(name=name, stage=stage, run=f"engine_steps:{run}", **fields)


def target(*steps: Step, artifact: str = f"{ALL}/all", **hooks: Any) -> dict[str, Any]:
    """Return the hooks of a plugin whose target is made by steps."""
    return {"targets": [Target(name="toy", help="a toy", artifacts={"toy": artifact})], "compile": list(steps), **hooks}


def chain(text: str = "apple", **second: Any) -> dict[str, Any]:
    """Return two steps; the first one's output depends on the first letter alone."""
    first = step("one", "initial", outputs=("one",), params={"text": text})
    fields = {"inputs": ("compile:toy/one/one",), "params": {"reads": ["compile:toy/one/one"]}, **second}
    return target(first, step("all", "join", outputs=("all",), **fields))


def states(report: api.Report) -> dict[str, str]:
    return {outcome.step.partition("/")[2]: outcome.state for outcome in report.outcomes}


def log(report: api.Report) -> list[dict[str, Any]]:
    return list(events.read(Path(report.log)))


def last_log(request: api.Request) -> list[dict[str, Any]]:
    return list(events.read(events.runs(request.root / ".k8sbuild/runs")[-1]))


def failure(request: api.Request, kind: type[BuildError] = BuildError) -> BuildError:
    with pytest.raises(kind) as caught:
        api.build(request)
    return caught.value
