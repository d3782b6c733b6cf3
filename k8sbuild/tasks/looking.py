"""Commands that look and change nothing."""

from __future__ import annotations

from k8sbuild.errors import ToolError

from .command import Answer, Call, describe

__all__ = ["deps", "doctor", "explain", "plugins", "versions"]


def explain(call: Call) -> Answer:
    """Say why the steps of a run ran or were reused."""
    from k8sbuild import api
    from k8sbuild.report.answers import explained

    report = api.explain(call.request, **{name: str(call.own[name]) for name in ("step", "run", "against")})
    return Answer(kind="explain", data=report.to_dict(), text=lambda: explained(report))


def doctor(call: Call) -> Answer:
    """Look at the machine and the plugins; something that is not fine gives the exit code of a missing tool."""
    from k8sbuild import api
    from k8sbuild.report.answers import findings

    rows = api.doctor(call.request)
    data = {"findings": [{"name": f.name, "ok": f.ok, "message": f.message, "fix": f.fix} for f in rows]}
    code = 0 if all(row.ok for row in rows) else ToolError.exit_code
    return Answer(kind="doctor", data=data, text=lambda: findings(rows), exit_code=code)


def plugins(call: Call) -> Answer:
    """List plugins, broken ones too, targets, and with ``--options`` all options."""
    from k8sbuild import api
    from k8sbuild.report.answers import plugins as text

    data = api.plugins(call.request)
    if call.own["options"]:
        data["options"] = [
            {"key": d.key, "flag": f"--{d.flag}" if d.flag else "", "variable": d.variable, "help": describe(d)}
            for d in api.options(call.request).values()
        ]
    return Answer(kind="plugins", data=data, text=lambda: text(data))


def versions(call: Call) -> Answer:
    """Say which versions there are: of the tool, of plugins, what a build uses by default, what pins know."""
    from k8sbuild import api
    from k8sbuild.report.answers import versions as text

    data = api.versions(call.request)
    return Answer(kind="versions", data=data, text=lambda: text(data))


def deps(call: Call) -> Answer:
    """List the build list of each program; ``--module`` picks some."""
    from k8sbuild import api
    from k8sbuild.report.answers import modules

    programs = api.modules(call.request, part=str(call.own["module"]))
    return Answer(kind="deps", data={"programs": programs}, text=lambda: modules(programs))
