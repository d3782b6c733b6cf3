"""Commands that put things into places and remove them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from .command import Answer, Call

__all__ = ["clean", "gc", "init", "install"]


def clean(call: Call, *, everything: bool = False, dry: bool = False) -> Answer:
    """Remove artifacts and work trees of this project, with ``everything`` its run logs too."""
    from k8sbuild import api
    from k8sbuild.report.table import near

    removed = api.clean(call.request, everything=everything, dry=dry)
    verb = "would remove" if dry else "removed"
    text = "\n".join(f"{verb} {near(folder)}" for folder in removed) or "nothing to remove"
    return Answer(kind="clean", data={"removed": removed, "dry_run": dry}, text=lambda: text)


def gc(call: Call, *, dry: bool = False) -> Answer:
    """Remove what was not used for ``--max-age`` days, then down to ``--max-size`` GB."""
    from k8sbuild import api
    from k8sbuild.report.answers import collected

    age, most = float(call.own["max-age"]), float(call.own["max-size"])
    report = api.gc(call.request, max_age_days=age, max_gb=most, dry=dry)
    return Answer(kind="gc", data={**asdict(report), "dry_run": dry}, text=lambda: collected(report, dry=dry))


def install(call: Call, *, dry: bool = False) -> Answer:
    """Install programs, units and settings of the last build."""
    from k8sbuild import api

    root = Path(str(call.own["root"]))
    made = api.install(call.request, root=root, dry=dry)
    verb = "would install" if dry else "installed"
    lines = [f"{verb} {root / path}" for path in made.files]
    lines += [f"kept {root / path}, which was there" for path in made.kept]
    return Answer(kind="install", data=asdict(made) | {"dry": dry}, text=lambda: "\n".join(lines))


def init(call: Call, *, dry: bool = False) -> Answer:
    """Write tasks, configuration and a plugin into a folder."""
    from k8sbuild import api

    folder = Path(str(call.own["folder"]))
    made = api.init(folder if call.own["folder"] else None, name=str(call.own["name"]), dry=dry)
    verb = "would write" if dry else "wrote"
    lines = "\n".join(f"{verb} {folder / path}" for path in made)
    return Answer(kind="init", data={"folder": str(folder), "files": list(made)}, text=lambda: lines)
