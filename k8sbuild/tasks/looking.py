"""Commands that look and change nothing."""

from __future__ import annotations

from typing import Any

from k8sbuild.errors import ToolError

from .command import Answer, Call, describe

__all__ = ["doctor", "explain", "plugins", "versions"]


def explain(call: Call) -> Answer:
    """Say why the steps of a run ran or were reused."""
    from k8sbuild import api
    from k8sbuild.report.answers import explanations

    names = {name: str(call.own[name]) for name in ("step", "run", "against")}
    rows = api.explain(call.request, **names)
    return Answer(kind="explain", data={"steps": [r.to_dict() for r in rows]}, text=lambda: explanations(rows))


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
    return Answer(kind="plugins", data=data, text=lambda: text(data))


def versions(call: Call) -> Answer:
    """Say which versions there are: of the tool, of plugins, what a build uses by default, what pins know."""
    from k8sbuild import __version__, api, pins
    from k8sbuild.report.answers import versions as text

    base = api.setup(call.request, strict=False)
    known = pins.load(p.folder / p.info.pins for p in base.plugins if p.info.pins)
    data = {
        "k8sbuild": __version__,
        "plugins": {p.name: p.version for p in base.plugins},
        "build": {d.key: base.values[d.key] for d in base.declared.values() if d.option.type == "version"},
        "releases": sorted(known.releases),
        "go": {"releases": list(known.go_releases), "minors": known.go_of_minor},
    }
    return Answer(kind="versions", data=data, text=lambda: text(data))
