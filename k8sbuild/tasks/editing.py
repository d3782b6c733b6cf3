"""Commands that work in edit trees."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict

from k8sbuild.report.stream import say

from .command import Answer, Call

__all__ = ["patch_refresh", "shell"]


def patch_refresh(call: Call) -> Answer:
    """Lay out an edit tree with ``--start``, else write what was changed in it into a series."""
    from k8sbuild import api

    if plugin := str(call.own["plugin"]):
        api.setup(call.request, strict=False).plugins.get(plugin)
    return _start(call) if call.own["start"] else _refresh(call)


def _source(call: Call) -> str:
    """Return the source to work on: the one that is named, else the one that the target is of."""
    from k8sbuild import api

    return str(call.own["source"]) or api.setup(call.request).target.source


def _start(call: Call) -> Answer:
    from k8sbuild import api
    from k8sbuild.report.edits import laid_out
    from k8sbuild.report.live import watched

    with watched() as observers:
        tree = api.start_edit(call.request, _source(call), patch=str(call.own["patch"]), observers=observers)
    return Answer(kind="edit-tree", data=asdict(tree), text=lambda: laid_out(tree))


def _refresh(call: Call) -> Answer:
    from k8sbuild import api
    from k8sbuild.report.edits import refreshed
    from k8sbuild.report.live import watched

    own = {name: str(call.own[name]) for name in ("plugin", "name", "why", "patch")}
    with watched() as observers:
        made = api.refresh_patch(call.request, _source(call), **own, observers=observers)
    asked = made.new and not own["why"]
    return Answer(kind="patch-refresh", data=asdict(made), text=lambda: refreshed(made, asked=asked))


def shell(call: Call) -> Answer:
    """Open a shell in an edit tree, or run one command there; its exit code is ours."""
    from k8sbuild import api
    from k8sbuild.report.live import watched

    with watched() as observers:
        place = api.shell(call.request, _source(call), observers=observers)
    command = str(call.own["command"])
    argv = ["/bin/sh", "-c", command] if command else [os.environ.get("SHELL") or "/bin/sh"]
    kept = {name: os.environ[name] for name in ("HOME", "TERM", "USER") if name in os.environ and not command}
    env = {**place.env, **kept, "K8SBUILD_MODULE": place.module}
    if not command:
        say(f"go build ./... in $K8SBUILD_MODULE takes this tree: cd {place.module}", sys.stderr)
    code = subprocess.run(argv, cwd=place.folder, env=env).returncode
    data = {"folder": place.folder, "module": place.module, "exit_code": code}
    return Answer(kind="shell", data=data, text=lambda: f"{place.folder}: exit {code}", exit_code=code)
