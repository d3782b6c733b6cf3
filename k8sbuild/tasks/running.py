"""Commands that run a build, or a part of it, or say what it would run."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k8sbuild.fetching import source_key

from .command import Answer, Call
from .looking import doctor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k8sbuild.kinds import Stage
    from k8sbuild.project import Request

__all__ = ["build", "lock", "plan", "setup"]


def build(call: Call, *, until: Stage | None = None, flags: Mapping[str, Any] | None = None) -> Answer:
    """Build, or run the steps of the stages up to ``until``."""
    from k8sbuild import api
    from k8sbuild.report.live import progress
    from k8sbuild.report.table import closing

    with progress(sys.stderr) as observer:
        report = api.build(_with(call.request, flags), until=until, observers=(("progress", observer),))
    return Answer(kind="build", data=report.to_dict(), text=lambda: closing(report))


def plan(call: Call, *, until: Stage | None = None, flags: Mapping[str, Any] | None = None) -> Answer:
    """Say what :func:`build` would do."""
    from k8sbuild import api
    from k8sbuild.report.answers import plan as text

    report = api.plan(_with(call.request, flags), until=until)
    return Answer(kind="plan", data=report.to_dict(), text=lambda: text(report))


def lock(call: Call) -> Answer:
    """Complete the lock, or with ``--check`` say whether it is complete."""
    from k8sbuild import api
    from k8sbuild.report.table import near

    data = api.lock(call.request, check=bool(call.own.get("check")))
    return Answer(kind="lock", data=data, text=lambda: f"{near(data['lock'])} has everything that this build needs")


def _with(request: Request, flags: Mapping[str, Any] | None) -> Request:
    return replace(request, flags={**request.flags, **(flags or {})})


def setup(call: Call) -> Answer:
    """Fetch the toolchains of a build, then look at the machine."""
    from k8sbuild.config import find_project
    from k8sbuild.engine.events import Event
    from k8sbuild.project import prepare
    from k8sbuild.report.live import progress

    log = find_project(call.request.root).state / "logs" / "setup.log"
    with progress(sys.stderr) as observer:
        prepared = prepare(call.request, log=log)
        toolchains = {source_key(source): source for source in prepared.resolved.toolchains.values()}
        for name, source in toolchains.items():
            observer(Event(kind="step-started", step=name))
            prepared.fetcher.source(source)
            observer(Event(kind="step-finished", step=name))
    answer = doctor(call)
    return replace(answer, kind="setup", data={"toolchains": list(toolchains), **answer.data})
