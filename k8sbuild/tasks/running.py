"""Commands that run a build, or a part of it, or say what it would run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

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
    from k8sbuild.report.live import watched
    from k8sbuild.report.table import closing

    with watched() as observers:
        report = api.build(_with(call.request, flags), until=until, observers=observers)
    return Answer(kind="build", data=report.to_dict(), text=lambda: closing(report))


def plan(call: Call, *, until: Stage | None = None, flags: Mapping[str, Any] | None = None) -> Answer:
    """Say what :func:`build` would do."""
    from k8sbuild import api
    from k8sbuild.report.answers import plan as text

    report = api.plan(_with(call.request, flags), until=until)
    return Answer(kind="plan", data=report.to_dict(), text=lambda: text(report))


def _with(request: Request, flags: Mapping[str, Any] | None) -> Request:
    return replace(request, flags={**request.flags, **(flags or {})})


def lock(call: Call) -> Answer:
    """Complete the lock, or with ``--check`` say whether it is complete."""
    from k8sbuild import api
    from k8sbuild.report.live import watched
    from k8sbuild.report.table import near

    with watched() as observers:
        file = api.lock(call.request, check=bool(call.own["check"]), update=call.own["update"], observers=observers)
    data = {"lock": file, "complete": True}
    return Answer(kind="lock", data=data, text=lambda: f"{near(file)} has everything that this build needs")


def setup(call: Call) -> Answer:
    """Fetch the toolchains of a build, then look at the machine."""
    from k8sbuild import api
    from k8sbuild.report.live import watched

    with watched() as observers:
        toolchains = api.fetch_toolchains(call.request, observers=observers)
    answer = doctor(call)
    return replace(answer, kind="setup", data={"toolchains": toolchains, **answer.data})
